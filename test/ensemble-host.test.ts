import { trace } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { afterAll, describe, expect, it } from 'vitest';
import type { Tensor } from '../src/serving/tensors/tensor.ts';
import { RolloutRouter } from '../src/serving/traffic/rollout-router.ts';
import { sampleAhead, setSampleRatio } from '../src/telemetry/sampling.ts';
import { startTelemetry } from '../src/telemetry/telemetry.ts';
import { elements, ensemblesOfTests, flow, infer, rows, type Served } from './ensembles-under-test.ts';

const under = ensemblesOfTests();
const through = flow([{ ask: infer('risk') }]);

/** A model that answers what it is let answer, in the order of coming; zeros and ones are its warm-up's. */
function gated() {
  const waiting: { first: number; answer(): void }[] = [];
  const run: Served['run'] = ([x]) => {
    const data = x!.data as Float32Array;
    const outputs = (): Tensor[] => [
      { name: 'y', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(data[0]!) },
    ];
    if (data.every((value) => value === 0 || value === 1)) return ones(x!.shape[0]!);
    return new Promise((resolve) => waiting.push({ first: data[0]!, answer: () => resolve(outputs()) }));
  };
  return { waiting, model: { run, serving: { replicas: 8, batch: { off: true } } } satisfies Served };
}
const ones = (count: number): Tensor[] => [
  { name: 'y', datatype: 'FP32', shape: [count, 1], data: new Float32Array(count).fill(1) },
];

describe('the requests of an ensemble', () => {
  it('run at the same time up to a bound; the others wait, by priority, and are refused past the queue', async () => {
    const { waiting, model } = gated();
    const both = { flow: 'through', serving: { queueMax: 2 } };
    const { serving } = under(
      { 'risk/1': model, 'both/1': both },
      { through },
      { limits: 'ensembleCallsMax=2' },
    );
    await serving.load('both');
    const ask = (x: number, priority?: number) =>
      serving
        .infer({ model: 'both', inputs: rows([x, 0]), priority })
        .then(({ outputs }) => elements(outputs)[0]);
    const answers = [ask(10), ask(11), ask(12, 5), ask(13, 1)];
    await expect(ask(14)).rejects.toMatchObject({
      code: 'request.overloaded',
      extensions: { limitName: 'queueMax', limit: 2, retryAfterMs: expect.any(Number) },
    });
    await expect.poll(() => waiting.map(({ first }) => first)).toEqual([10, 11]);
    expect(serving.statistics()['both/1']).toMatchObject({ queued: 2, refused: 1, replicas: 1 });
    waiting[0]!.answer();
    await expect.poll(() => waiting.map(({ first }) => first)).toEqual([10, 11, 13]);
    waiting[2]!.answer();
    await expect.poll(() => waiting.map(({ first }) => first)).toEqual([10, 11, 13, 12]);
    for (const { answer } of waiting) answer();
    expect(await Promise.all(answers)).toEqual([10, 11, 12, 13]);
    expect(serving.statistics()['both/1']).toMatchObject({ requests: 5, rows: 4, queued: 0, errors: 0 });
  });

  it('that wait are ended by their time, their caller or an end of the version', async () => {
    const { waiting, model } = gated();
    const { serving } = under(
      { 'risk/1': model, 'both/1': { flow: 'through' } },
      { through },
      { limits: 'ensembleCallsMax=1' },
    );
    await serving.load('both');
    const ask = (more: object) => serving.infer({ model: 'both', inputs: rows([9, 0]), ...more });
    const caller = new AbortController();
    const given = [{}, { deadlineMs: 30 }, { signal: caller.signal }, {}].map(ask);
    const ends = Promise.allSettled(given);
    caller.abort();
    await expect(given[1]).rejects.toMatchObject({ code: 'serving.timeout' });
    await expect.poll(() => waiting.length).toBe(1);
    serving.close();
    const codes = (await ends).map((end) => 'reason' in end && end.reason.code);
    expect(codes).toEqual([
      'serving.unavailable',
      'serving.timeout',
      'serving.canceled',
      'serving.unavailable',
    ]);
  });

  it('end before their version is unloaded, and load it again', async () => {
    const { waiting, model } = gated();
    const { serving } = under({ 'risk/1': model, 'both/1': { flow: 'through' } }, { through });
    await serving.load('both');
    const answer = serving.infer({ model: 'both', inputs: rows([9, 0]) });
    await expect.poll(() => waiting.length).toBe(1);
    const unloaded = serving.unload('both');
    waiting[0]!.answer();
    expect(elements((await answer).outputs)).toEqual([9]);
    expect(await unloaded).toEqual([1]);
    expect(serving.isReady('both')).toBe(false);
    expect(elements((await serving.infer({ model: 'both', inputs: rows([1, 0]) })).outputs)).toEqual([1]);
  });
});

describe('an ensemble under a rollout', () => {
  it('is divided by the key of its caller, and so is the model inside', async () => {
    const rollouts = new RolloutRouter(10);
    const row = (value: number): Served => ({ row: () => value });
    const { serving } = under(
      { 'risk/1': row(1), 'risk/2': row(2), 'both/1': { flow: 'through' }, 'both/2': { flow: 'tenfold' } },
      {
        through,
        tenfold: flow([
          { ask: infer('risk') },
          { more: { set: { y: '${ input.y.map(row, [row[0] * 10.0]) }' } } },
        ]),
      },
      { rollouts },
    );
    const plan = {
      alias: 'champion',
      champion: 1,
      challenger: 2,
      percent: 50,
      revision: 1,
      shadow: false,
      isForced: false,
      copyPercent: 0,
    };
    rollouts.put([
      { ...plan, id: 'rol_1', model: 'both' },
      { ...plan, id: 'rol_2', model: 'risk' },
    ] as never);
    const answers = new Map<string, Set<number>>();
    for (let i = 0; i < 200; i++) {
      const stickyKey = `customer-${i % 40}`;
      const { outputs } = await serving.infer({ model: 'both', inputs: rows([1, 2]), stickyKey });
      answers.set(stickyKey, (answers.get(stickyKey) ?? new Set()).add(elements(outputs)[0]!));
    }
    expect([...answers.values()].every(({ size }) => size === 1)).toBe(true);
    expect(new Set([...answers.values()].flatMap((values) => [...values]))).toEqual(new Set([1, 2, 10, 20]));
  });
});

describe('the trace of an ensemble', () => {
  const exporter = new InMemorySpanExporter();
  const telemetry = startTelemetry('test', [new SimpleSpanProcessor({ exporter })]);
  afterAll(() => telemetry.stop());

  it('holds the inferences inside, of those too that had to wait', async () => {
    setSampleRatio(1);
    const { waiting, model } = gated();
    const { serving } = under(
      { 'risk/1': model, 'both/1': { flow: 'through' } },
      { through },
      { limits: 'ensembleCallsMax=1' },
    );
    await serving.load('both');
    exporter.reset();
    const tracer = trace.getTracer('test');
    const ask = (x: number) =>
      tracer.startActiveSpan(`caller-${x}`, {}, sampleAhead()!, async (span) => {
        await serving.infer({ model: 'both', inputs: rows([x, 0]) });
        span.end();
        return span.spanContext().traceId;
      });
    const asked = [ask(8), ask(9)];
    for (let i = 0; i < 2; i++) {
      await expect.poll(() => waiting.length).toBe(i + 1);
      waiting[i]!.answer();
    }
    const traces = await Promise.all(asked);
    const spans = exporter
      .getFinishedSpans()
      .map((span) => [span.spanContext().traceId, span.attributes['aios.model']]);
    for (const traceId of traces)
      expect(spans.filter(([of, name]) => of === traceId && name).map(([, name]) => name)).toEqual([
        'risk',
        'both',
      ]);
    expect(traces[0]).not.toBe(traces[1]);
  });
});
