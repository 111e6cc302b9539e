import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { openExample } from './example-under-test.ts';
import { Simulation } from './simulator.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

interface OtlpSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
}

let example: Awaited<ReturnType<typeof openExample>>;
const servers: Server[] = [];
const spans: OtlpSpan[] = [];
const calls: { path: string; traceparent: string }[] = [];

async function listen(answer: (request: IncomingMessage, body: string) => object): Promise<string> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = JSON.stringify(answer(request, Buffer.concat(chunks).toString('utf8')));
    response.writeHead(200, { 'content-type': 'application/json' }).end(text);
  });
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

beforeAll(async () => {
  const collector = await listen((_, body) => {
    for (const { scopeSpans } of JSON.parse(body).resourceSpans)
      for (const scope of scopeSpans) spans.push(...scope.spans);
    return {};
  });
  const system = await listen(({ url = '', headers }) => {
    calls.push({ path: url, traceparent: String(headers.traceparent) });
    return { refundId: 'refund-1', noticeId: 'notice-1' };
  });
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector);
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '20');
  vi.stubEnv('AIOS_TRACE_RATIO', '0');
  vi.stubEnv('AIOS_VAR_REFUNDS_URL', system);
  vi.stubEnv('AIOS_VAR_WAREHOUSE_URL', system);
  example = await openExample();
});
afterAll(async () => {
  await example?.close();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  vi.unstubAllEnvs();
});

it('one trace goes from the request through its event, the run and its steps, the event that it emits and the run that this starts, to the outside system', async () => {
  const { app } = example;
  const events = new Simulation(7, Date.now).first();
  const requested = events.find(({ type }) => type === 'return.requested')!;
  await app.publish(events.filter(({ type }) => type === 'order.placed'));
  await app.stations.consumers.idle();
  const response = await fetch(`${app.url}/api/v1/events`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${app.adminKey}`,
      'content-type': 'application/cloudevents+json',
      traceparent: `00-${TRACE}-00f067aa0ba902b7-01`,
    },
    body: JSON.stringify(requested),
  });
  expect(response.status).toBe(202);
  await vi.waitFor(() => expect(calls.map(({ path }) => path)).toEqual(['/refunds', '/expected']), 20_000);
  await vi.waitFor(
    () =>
      expect(spans.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['workflow returns', 'workflow settlement']),
      ),
    10_000,
  );
  // The ratio is 0: what is recorded at all is what the caller asked for.
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const pathOf = (span: OtlpSpan | undefined): string[] =>
    span ? [...pathOf(byId.get(span.parentSpanId ?? '')), span.name] : [];
  const paths = spans.map((span) => pathOf(span).join(' > '));
  const door = 'POST /api/v1/events';
  for (const expected of [
    door,
    `${door} > workflow returns > step features`,
    `${door} > workflow returns > step decide`,
    `${door} > workflow settlement > step connector > refunds.refund`,
    `${door} > workflow settlement > step connector > warehouse.expect`,
  ])
    expect(paths).toContain(expected);
  for (const { path, traceparent } of calls) {
    const [, traceId, spanId, flags] = traceparent.split('-');
    expect([path, traceId, flags]).toEqual([path, TRACE, '01']);
    expect(byId.get(spanId!)?.name).toBe(path === '/refunds' ? 'refunds.refund' : 'warehouse.expect');
  }
});
