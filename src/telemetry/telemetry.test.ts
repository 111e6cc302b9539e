import { context, propagation, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { describe, expect, it } from 'vitest';
import { newSecret } from '../access/key-format.ts';
import { formatEntry } from './logger.ts';
import { startTelemetry } from './telemetry.ts';

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
