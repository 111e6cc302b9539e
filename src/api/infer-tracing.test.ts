import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { afterAll, describe, expect, it } from 'vitest';
import { setSampleRatio } from '../telemetry/sampling.ts';
import { startTelemetry } from '../telemetry/telemetry.ts';
import { type Asked, message, openInferUnderTest, Wire } from './infer-under-test.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';

describe('the trace of an inference', () => {
  const exporter = new InMemorySpanExporter();
  // Once: a tracer stays with the provider that it met first.
  const telemetry = startTelemetry('test', [new SimpleSpanProcessor({ exporter })]);
  afterAll(() => telemetry.stop());

  /** The spans of requests on one lean connection, at a ratio. */
  async function spansOf(ratio: number, requests: readonly Asked[]) {
    setSampleRatio(ratio);
    exporter.reset();
    const door = await openInferUnderTest();
    const wire = new Wire(door.port);
    for (const request of requests) {
      wire.write(message(request));
      await wire.answer();
    }
    wire.socket.destroy();
    await door.close();
    return exporter.getFinishedSpans().map((span) => ({
      name: span.name,
      status: span.attributes['http.response.status_code'],
      traceId: span.spanContext().traceId,
      parent: span.parentSpanContext?.spanId,
    }));
  }

  it('is drawn by the ratio, with its status', async () => {
    const name = 'POST /v2/models/:name/infer';
    const spans = await spansOf(1, [{}, { url: '/v2/models/broken/infer' }]);
    expect(spans).toMatchObject([
      { name, status: 200, parent: undefined },
      { name, status: 500, parent: undefined },
    ]);
    expect(spans[0]?.traceId).not.toBe(spans[1]?.traceId);
    expect(await spansOf(0, [{}, {}])).toEqual([]);
  });

  it('is the one that the caller names, if the caller records it', async () => {
    const of = (flags: string) => ({ headers: { traceparent: `00-${TRACE}-b7ad6b7169203331-${flags}` } });
    expect(await spansOf(0, [of('01'), of('00')])).toMatchObject([
      { traceId: TRACE, parent: 'b7ad6b7169203331' },
    ]);
  });
});
