import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { context, propagation, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { newSecret } from '../access/key-format.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { formatEntry } from './logger.ts';
import { otlpProcessors, startTelemetry } from './telemetry.ts';

describe('telemetry', () => {
  it('keeps nested spans under the trace that the caller names (W3C traceparent), across awaits', async () => {
    const exporter = new InMemorySpanExporter();
    const telemetry = startTelemetry('test', [new SimpleSpanProcessor({ exporter })]);
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const remote = propagation.extract(context.active(), {
      traceparent: `00-${traceId}-b7ad6b7169203331-01`,
    });
    const tracer = trace.getTracer('test');
    await context.with(remote, () =>
      tracer.startActiveSpan('outer', async (outer) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        tracer.startSpan('inner').end();
        outer.end();
      }),
    );
    const spans = exporter.getFinishedSpans();
    expect(spans.map((span) => [span.name, span.spanContext().traceId])).toEqual([
      ['inner', traceId],
      ['outer', traceId],
    ]);
    expect(spans[0]?.parentSpanContext?.spanId).toBe(spans[1]?.spanContext().spanId);
    expect(await telemetry.prometheus()).toContain('process_memory_usage');
    await telemetry.stop();
  });
});

describe('spans over OTLP', () => {
  const open: Server[] = [];
  afterEach(() => {
    vi.unstubAllEnvs();
    for (const server of open.splice(0)) server.close();
  });

  it('leave by so many at once as the limit says, and none is lost', async () => {
    const counts: number[] = [];
    const collector = createServer(async (request, response) => {
      const { resourceSpans } = (await json(request)) as { resourceSpans: { scopeSpans: { spans: [] }[] }[] };
      counts.push(resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)).length);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    }).listen(0, '127.0.0.1');
    open.push(collector);
    await once(collector, 'listening');
    const { port } = collector.address() as AddressInfo;
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${port}`);
    vi.stubEnv('AIOS_TRACE_RATIO', '1');
    const telemetry = startTelemetry('test', otlpProcessors(limitsFrom('spanBatchCountMax=10')));
    for (let i = 0; i < 25; i++) trace.getTracer('test').startSpan(`span ${i}`).end();
    await telemetry.stop();
    expect(counts.toSorted((a, b) => a - b)).toEqual([5, 10, 10]);
  });

  it('go nowhere without an endpoint', () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', '');
    expect(otlpProcessors(limitsFrom())).toEqual([]);
  });
});

describe('the log', () => {
  it('is one line of JSON without secrets', () => {
    const line = formatEntry(
      'warn',
      `refused ${newSecret('key')} and Bearer abc.def`,
      new Error('why'),
      0,
      false,
    );
    expect(line).not.toContain('\n');
    expect(JSON.parse(line)).toMatchObject({
      ts: '1970-01-01T00:00:00.000Z',
      level: 'warn',
      msg: 'refused [secret] and Bearer [secret]',
    });
  });
});
