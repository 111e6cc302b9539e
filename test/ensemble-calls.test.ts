import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Tensor } from '../src/serving/tensors/tensor.ts';
import {
  elements,
  ensemblesOfTests,
  flow,
  infer,
  rows,
  type Served,
  SIGNATURE,
} from './ensembles-under-test.ts';

const under = ensemblesOfTests();
const sum = { row: ([a, b]: readonly [number, number]) => a + b };
const through = flow([{ ask: infer('risk') }]);

describe('an ensemble that is asked', () => {
  it('sees all rows of a request at once, and answers by its signature, for tensors and for named features', async () => {
    const { serving } = under({ 'risk/1': sum, 'both/1': { flow: 'through' } }, { through });
    const { outputs, ...told } = await serving.infer({ model: 'both', inputs: rows([1, 2], [3, 4], [5, 6]) });
    expect(outputs).toEqual([
      { name: 'y', datatype: 'FP32', shape: [3, 1], data: Float32Array.of(3, 7, 11) },
    ]);
    expect(told).toMatchObject({ model: 'both', version: 1, batchRows: 3, parameters: { parts: 'risk/1' } });
    const score = await serving.score({ model: 'both', features: { a: 20, b: 1 } });
    expect(score).toMatchObject({ outputs: { y: 21 }, parameters: { parts: 'risk/1' } });
  });

  it('joins the batches of everybody who asks the same model', async () => {
    const batches: number[] = [];
    let held: Promise<void> | undefined;
    const run: Served['run'] = async (inputs) => {
      batches.push(inputs[0]!.shape[0]!);
      await held;
      return ones(inputs);
    };
    const serving = { batch: { max: 8 } };
    const made = under({ 'risk/1': { run, serving }, 'one/1': { flow: 'through' } }, { through });
    await made.serving.infer({ model: 'one', inputs: rows([1, 2]) });
    batches.length = 0;
    const gate = Promise.withResolvers<void>();
    held = gate.promise;
    const ask = (model: string) => made.serving.infer({ model, inputs: rows([1, 2]) });
    const first = ask('risk');
    await expect.poll(() => batches).toEqual([1]);
    const others = ['one', 'risk', 'one', 'risk', 'one', 'one', 'one', 'risk'].map(ask);
    await expect.poll(() => made.serving.statistics()['risk/1']!.queued).toBe(8);
    gate.resolve();
    await Promise.all([first, ...others]);
    expect(batches).toEqual([1, 8]);
  });

  it('adds up what its models cost, and its own rate for each inference', async () => {
    const rate = (costPerInferenceMicroUsd: number) => ({ costPerInferenceMicroUsd });
    const twice = flow([
      { first: infer('risk') },
      { again: { ...infer('risk'), with: { model: 'risk', inputs: { x: [[1, 2]] } } } },
    ]);
    const { serving, costs, catalog } = under(
      { 'risk/1': { ...sum, serving: rate(5) }, 'both/1': { flow: 'twice', serving: rate(3) } },
      { twice },
    );
    await serving.load('both');
    const answer = await serving.infer({ model: 'both', inputs: rows([1, 2]) });
    expect(answer.costMicroUsd).toBe(13);
    expect(costs).toEqual([]);
    const step = { runId: 'run_1', stepKey: 'score', nowMs: 5 };
    const asked = { model: 'both', inputs: { x: [[1, 2]] } };
    await (catalog.get('infer:1') as { run(input: object, context: object): Promise<unknown> }).run(
      asked,
      step,
    );
    expect(costs).toMatchObject([{ runId: 'run_1', resource: 'both@1', amountMicroUsd: 13 }]);
  });

  it('hands its caller, key, priority, copy mark and step on to the models inside', async () => {
    const seen: object[] = [];
    const { serving, registry } = under({ 'risk/1': sum, 'both/1': { flow: 'through' } }, { through });
    const original = serving.infer.bind(serving);
    await serving.load('both');
    serving.infer = (call) => {
      seen.push(call);
      return original(call);
    };
    const caller = { kind: 'key', id: 'key_7' };
    const step = { runId: 'run_1', stepKey: 'score' };
    const call = { stickyKey: 'customer-7', priority: 2, isCopy: true, caller, step };
    await serving.infer({ model: 'both', inputs: rows([1, 2]), deadlineMs: 900, ...call });
    const [, inner] = seen as { deadlineMs: number; signal: AbortSignal }[];
    expect(inner).toMatchObject({
      ...call,
      model: 'risk',
      depth: 1,
      step: { runId: 'run_1', stepKey: 'score/ask' },
    });
    expect(inner!.deadlineMs).toBeGreaterThan(0);
    expect(inner!.deadlineMs).toBeLessThanOrEqual(900);
    expect(inner!.signal.aborted).toBe(false);
    expect(registry.resolve('risk').version).toBe(1);
  });

  it('is marked as degraded when an answer inside is, and says what answered', async () => {
    let isSlow = false;
    const run: Served['run'] = (inputs) => (isSlow ? new Promise(() => {}) : ones(inputs));
    const serving = { timeoutMs: 1_000, fallback: [{ model: 'spare' }] };
    const models = {
      'risk/1': { run, serving },
      'spare/1': { row: () => 9 },
      'both/1': { flow: 'through', serving: { timeoutMs: 60_000 } },
    };
    const made = under(models, { through });
    expect(await made.serving.infer({ model: 'both', inputs: rows([1, 2]) })).not.toHaveProperty('degraded');
    isSlow = true;
    const answer = await made.serving.infer({ model: 'both', inputs: rows([1, 2]) });
    expect(elements(answer.outputs)).toEqual([9]);
    const degraded = { model: 'risk', version: 1, reason: 'serving.timeout', by: 'model' };
    expect(answer).toMatchObject({ model: 'both', version: 1, degraded });
    expect(answer.parameters).toEqual({
      parts: 'spare/1',
      degraded: true,
      degraded_by: 'model',
      degraded_reason: 'serving.timeout',
      degraded_from: 'risk/1',
    });
    const score = await made.serving.score({ model: 'both', features: { a: 1, b: 2 } });
    expect(score).toMatchObject({ degraded: { model: 'risk', by: 'model' }, parameters: { degraded: true } });
  });

  it('names decisions, features and what ensembles inside have asked, too', async () => {
    const steps = [
      { look: { call: 'features:1@default', with: { service: 'risk-features', entity: { id: '1' } } } },
      { ask: { ...infer('inner'), with: { model: 'inner', inputs: { x: '${ [[input.a, input.b]] }' } } } },
      {
        decide: {
          call: 'decide:1@default',
          with: { decision: 'limits', input: { y: '${ input.y[0][0] }' } },
          output: { as: '{"y": [[output.output == "high" ? 1 : 0]]}' },
        },
      },
    ];
    const one = {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
      outputs: SIGNATURE.outputs,
    } as const;
    const models = {
      'risk/1': sum,
      'inner/1': { flow: 'through' },
      'outer/1': { flow: 'steps', signature: one },
    };
    const { serving } = under(models, { through, steps: flow(steps) });
    const answer = await serving.infer({ model: 'outer', inputs: rows([1, 2]) });
    expect(elements(answer.outputs)).toEqual([1]);
    expect(answer.parameters).toEqual({
      parts: 'feature-service:risk-features/3,inner/1,decision:limits/4,risk/1',
    });
  });

  it('asks language models for its caller, who pays by their own commit', async () => {
    const chat = flow([
      {
        judge: {
          call: 'chat:1@default',
          with: { model: 'assistant', messages: [{ role: 'user', content: 'how risky?' }] },
          output: { as: '{"y": [[double(output.content)]]}' },
        },
      },
    ]);
    const one = {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
      outputs: SIGNATURE.outputs,
    } as const;
    const { serving, serve, asked } = under({}, { chat });
    serve('assistant/1', { row: () => 0 });
    serve('judge/1', { flow: 'chat', signature: one });
    const caller = { kind: 'key', id: 'key_7' };
    const answer = await serving.infer({ model: 'judge', inputs: rows([1, 2]), caller });
    expect(elements(answer.outputs)).toEqual([0.25]);
    expect(answer).toMatchObject({ costMicroUsd: 0, parameters: { parts: 'assistant/1' } });
    expect(asked.at(-1)).toMatchObject({ model: 'assistant', by: caller, signal: expect.any(AbortSignal) });
    expect(asked.at(-1)).not.toHaveProperty('step');
  });

  it('lets a program call its own pure functions', async () => {
    const steps = flow([
      {
        double: {
          call: 'twice:1@default',
          with: { value: '${ input.x[0][0] }' },
          output: { as: '{"y": [[output]]}' },
        },
      },
    ]);
    const one = {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
      outputs: SIGNATURE.outputs,
    } as const;
    const { serving } = under({ 'own/1': { flow: 'steps', signature: one } }, { steps });
    expect(elements((await serving.infer({ model: 'own', inputs: rows([4, 0]) })).outputs)).toEqual([8]);
  });
});

describe('the time of an ensemble', () => {
  const never: Served['run'] = (inputs) =>
    (inputs[0]!.data as Float32Array)[0] === 5 ? new Promise(() => {}) : ones(inputs);
  const slow = { run: never, serving: { timeoutMs: 60_000 } };

  it('is that of its caller: past it the models inside are given up', async () => {
    const { serving } = under({ 'risk/1': slow, 'both/1': { flow: 'through' } }, { through });
    await serving.infer({ model: 'both', inputs: rows([1, 1]) });
    const late = serving.infer({ model: 'both', inputs: rows([5, 0]), deadlineMs: 1_000 });
    await expect(late).rejects.toMatchObject({
      code: 'serving.timeout',
      message: expect.stringMatching(/^both\/1: .*the deadline has passed/),
    });
    await expect.poll(() => serving.statistics()['risk/1']!.errors).toBe(1);
  });

  it('is bounded by its own timeout', async () => {
    const both = { flow: 'through', serving: { timeoutMs: 40 } };
    const { serving } = under({ 'risk/1': slow, 'both/1': both }, { through });
    await expect(serving.infer({ model: 'both', inputs: rows([5, 0]) })).rejects.toMatchObject({
      code: 'serving.timeout',
      // Whichever looks first, the ensemble or the model inside: both have that time.
      message: expect.stringMatching(/^both\/1: .*(longer than 40 ms|the deadline has passed)/),
    });
  });

  it('ends when its caller goes away, and so do the models inside', async () => {
    const { serving } = under({ 'risk/1': slow, 'both/1': { flow: 'through' } }, { through });
    await serving.infer({ model: 'both', inputs: rows([1, 1]) });
    const { requests } = serving.statistics()['risk/1']!;
    const caller = new AbortController();
    const given = serving.infer({ model: 'both', inputs: rows([5, 0]), signal: caller.signal });
    await expect.poll(() => serving.statistics()['risk/1']!.requests).toBe(requests + 1);
    caller.abort();
    await expect(given).rejects.toMatchObject({ code: 'serving.canceled' });
    await expect.poll(() => serving.statistics()['risk/1']!.errors).toBe(1);
  });

  it('is not that of a loop that waits for nothing', async () => {
    const loop = flow(
      parse(`
        - again: { if: 'input.x[0][0] == 5.0', set: { x: '\${ input.x }' }, then: back }
        - done: { set: { y: [[1]] }, then: end }
        - back: { set: { x: '\${ input.x }' }, then: again }`),
    );
    const { serving } = under({ 'loop/1': { flow: 'loop' } }, { loop }, { limits: 'ensembleStepsMax=500' });
    await expect(serving.infer({ model: 'loop', inputs: rows([5, 0]) })).rejects.toMatchObject({
      code: 'serving.model_failed',
      message: expect.stringContaining('more than 500 steps (ensembleStepsMax)'),
    });
  });
});

describe('what fails inside an ensemble', () => {
  const failing: Served['run'] = (inputs) => {
    if ((inputs[0]!.data as Float32Array)[0] === 5) throw new Error('five is refused');
    return ones(inputs);
  };

  it('is told with the place of the step, and is the failure of the ensemble', async () => {
    const { serving } = under({ 'risk/1': { run: failing }, 'both/1': { flow: 'through' } }, { through });
    await expect(serving.infer({ model: 'both', inputs: rows([5, 0]) })).rejects.toMatchObject({
      code: 'serving.model_failed',
      message: 'both/1: /do/0/ask: risk/1: five is refused',
      extensions: { step: '/do/0/ask', error: { status: 422 } },
    });
    expect(serving.statistics()['both/1']).toMatchObject({ errors: 1 });
  });

  it('keeps its code where the caller may come again', async () => {
    const busy = { run: failing, serving: { queueMax: 0 } };
    const { serving, serve } = under(
      { 'risk/1': { run: failing }, 'both/1': { flow: 'through' } },
      { through },
    );
    await serving.load('both');
    serve('risk/1', busy);
    await expect(serving.infer({ model: 'both', inputs: rows([1, 0]) })).rejects.toMatchObject({
      code: 'request.overloaded',
      message: expect.stringMatching(/^both\/1: \/do\/0\/ask: 0 requests wait for risk\/1/),
    });
  });

  it('may be caught by the flow', async () => {
    const steps = flow([
      { guarded: { try: [{ ask: infer('risk') }], catch: { do: [{ instead: { set: { y: [[-1]] } } }] } } },
    ]);
    const { serving } = under({ 'risk/1': { run: failing }, 'both/1': { flow: 'steps' } }, { steps });
    expect(elements((await serving.infer({ model: 'both', inputs: rows([5, 0]) })).outputs)).toEqual([-1]);
  });

  it.each([
    ['an output that is missing', { z: 1 }, 'There is no tensor “z”; there are y.'],
    ['an output of another shape', { y: [[1, 2]] }, '“y” has the shape [-1, 1] (-1: any); [1, 2] was given.'],
    ['an output of another type', { y: [['a']] }, 'element 0: "a" is not a valid FP32'],
    ['too few rows', { y: [[1]] }, 'its output “y” has the shape [1, 1] for 2 rows of input'],
    ['no object', 7, 'its output is not an object of tensors'],
  ])('is %s, by name', async (_, y, message) => {
    const steps = flow([
      ...parse(`
        - ones: { if: 'input.x.all(row, row[0] < 5.0)', set: { y: '\${ input.x.map(row, [1]) }' }, then: end }`),
      { wrong: { set: { out: y }, output: { as: 'output.out' } } },
    ]);
    const { serving } = under({ 'wrong/1': { flow: 'steps' } }, { steps });
    await expect(serving.infer({ model: 'wrong', inputs: rows([5, 0], [5, 0]) })).rejects.toMatchObject({
      code: 'serving.model_failed',
      message: expect.stringContaining(message),
    });
  });
});

function ones([x]: readonly Tensor[]): Tensor[] {
  const count = x!.shape[0]!;
  return [{ name: 'y', datatype: 'FP32', shape: [count, 1], data: new Float32Array(count).fill(1) }];
}
