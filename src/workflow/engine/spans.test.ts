import { trace } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { traceRun } from './spans.ts';

const exporter = new InMemorySpanExporter();
const PARENT = '4bf92f3577b34da6a3ce929d0e0e4736';

describe('the spans of a run', () => {
  beforeAll(() => {
    trace.setGlobalTracerProvider(
      new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
    );
  });
  afterAll(() => trace.disable());

  it('lie in the trace of the event that started it, steps inside the run', async () => {
    const run = traceRun('run_1', 'returns', 3, `00-${PARENT}-00f067aa0ba902b7-01`);
    expect(await run?.step('score', 'infer', async () => 7)).toBe(7);
    await expect(run?.step('act', 'connector', () => Promise.reject(new Error('down')))).rejects.toThrow(
      'down',
    );
    run?.end({ type: 't', status: 500, title: 'down' });
    const spans = exporter.getFinishedSpans();
    expect(spans.map(({ name, status }) => [name, status.message ?? ''])).toEqual([
      ['step infer', ''],
      ['step connector', 'down'],
      ['workflow returns', 'down'],
    ]);
    expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(new Set([PARENT]));
    expect(spans[0]?.parentSpanContext?.spanId).toBe(spans[2]?.spanContext().spanId);
    expect(spans[2]?.attributes).toEqual({ 'aios.run.id': 'run_1', 'aios.workflow.version': 3 });
  });

  it.each([
    ['nobody asked', undefined],
    ['the trace is not sampled', `00-${PARENT}-00f067aa0ba902b7-00`],
    ['the header is not one', 'garbage'],
  ])('are not made when %s', (_, traceparent) => {
    expect(traceRun('run_2', 'returns', 1, traceparent)).toBeUndefined();
  });
});
