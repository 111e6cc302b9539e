import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { JsonObject } from '../src/kernel/json.ts';
import { runtimeConformance } from '../src/serving/runtimes/runtime-conformance.ts';
import type { Signature } from '../src/serving/tensors/signature.ts';
import type { Tensor } from '../src/serving/tensors/tensor.ts';
import { elements, ensemblesOfTests, ensemblesUnderTest, flow, infer, rows } from './ensembles-under-test.ts';

const under = ensemblesOfTests();
const sum = { row: ([a, b]: readonly [number, number]) => a + b };
const through = flow([{ ask: infer('risk') }]);
const steps = (text: string) => flow(parse(text));

const LOGISTIC: Signature = {
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 1] }],
};
const conforming = ensemblesUnderTest(
  {
    'logistic/1': {
      signature: LOGISTIC,
      serving: { batchMax: 100_000 },
      run: ([features]: readonly Tensor[]) => {
        const data = features!.data as Float32Array;
        const count = features!.shape[0]!;
        const score = (_: unknown, i: number) =>
          1 / (1 + Math.exp(-(data[2 * i]! - 2 * data[2 * i + 1]! + 0.5)));
        const values = Float32Array.from({ length: count }, score);
        return [{ name: 'probabilities', datatype: 'FP32', shape: [count, 1], data: values }];
      },
    },
  },
  {
    logistic: steps(`
      - ask:
          call: infer:1@default
          with: { model: logistic, inputs: { features: '\${ input.features }' } }
          output: { as: output.outputs }`),
    refused: steps('[{ pay: { call: "pay:1@default" } }]'),
  },
);
afterAll(() => conforming.serving.close());
runtimeConformance('workflow', () => ({
  runtime: conforming.ensembles.runtime,
  logistic: { name: 'both', digest: '', endpoint: { flow: 'logistic' }, signature: LOGISTIC, load },
  refused: { name: 'both', digest: '', endpoint: { flow: 'logistic' }, load },
}));
async function load() {
  return new Uint8Array();
}

describe('the flow of an ensemble', () => {
  it.each([
    ['an effect', '- pay: { call: "pay:1@default" }', '/do/0/pay', '“pay” acts outside'],
    [
      'a person',
      '- all: { do: [{ ask: { call: "ask:1@default" } }] }',
      '/do/0/all/do/0/ask',
      'waits for somebody',
    ],
    [
      'an event that is sent',
      '- tell: { emit: { event: { with: { type: t, source: "urn:s" } } } }',
      '/do/0/tell',
      'with a run',
    ],
    [
      'an event that is awaited',
      '- hear: { listen: { to: { one: { with: { type: t } } } } }',
      '/do/0/hear',
      'needs a durable run',
    ],
    [
      'a flow of its own',
      '- run: { run: { workflow: { namespace: n, name: other, version: 1.0.0 } } }',
      '/do/0/run',
      'asked by infer',
    ],
    ['a long wait', '- wait: { wait: { seconds: 30 } }', '/do/0/wait', 'more than 1000 ms (ensembleWaitMs)'],
    [
      'an effect among what is caught',
      '- t: { try: [{ s: { set: { a: 1 } } }], catch: { do: [{ pay: { call: "pay:1@default" } }] } }',
      '/do/0/t/catch/do/0/pay',
      'acts outside',
    ],
  ])('is refused when it has %s, with the place and what to do', async (_, text, path, message) => {
    const { verify } = under({}, { refused: steps(text) });
    await expect(verify('both', { flow: 'refused' })).rejects.toMatchObject({
      code: 'models.flow_needs_run',
      issues: [
        {
          path,
          message: expect.stringContaining(message),
          expected: expect.stringContaining('start it as a run'),
        },
      ],
    });
  });

  it('may wait a moment, and for models side by side', async () => {
    const text = `
      - pause: { wait: { milliseconds: 5 } }
      - both: { fork: { branches: [ { a: { set: { y: [[1]] } } }, { b: { set: { y: [[2]] } } } ] } }
      - first: { fork: { compete: true, branches: [ { slow: { do: [ { w: { wait: { milliseconds: 500 } } } ] } }, { fast: { set: { y: [[3]] } } } ] } }`;
    const one: Signature = { ...LOGISTIC, outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 1] }] };
    const { serving } = under({ 'waits/1': { flow: 'waits', signature: one } }, { waits: steps(text) });
    const inputs: Tensor[] = [{ ...rows([1, 2])[0]!, name: 'features' }];
    expect(elements((await serving.infer({ model: 'waits', inputs })).outputs)).toEqual([3]);
  });

  it('is told the tensors by the signature, and needs them declared', async () => {
    const { verify } = under({ 'risk/1': sum }, { through });
    expect(await verify('both', { flow: 'through' })).toMatchObject({ ok: true });
    expect(await verify('both', { flow: 'through' }, {} as Signature)).toMatchObject({
      ok: false,
      stage: 'load',
      reason: expect.stringContaining('declare inputs and outputs'),
    });
  });

  it('is there, and asks for models that are', async () => {
    const { verify } = under({ 'risk/1': sum }, { through, lost: flow([{ ask: infer('lost') }]) });
    const refused = { code: 'models.endpoint_refused' };
    await expect(verify('both', { flow: 'none' })).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('“none”'),
    });
    await expect(verify('both', { flow: 'through', version: 2 })).rejects.toMatchObject(refused);
    await expect(verify('both', { flow: 'through', version: 1, digest: 'sha256:x' })).rejects.toMatchObject(
      refused,
    );
    await expect(verify('both', { flow: 'lost' })).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('/do/0/ask: lost has no version'),
    });
  });

  it('stays the version that it was when the model was registered', async () => {
    const { serving, serve, applyFlow, ensembles } = under(
      { 'risk/1': sum, 'both/1': { flow: 'through' } },
      { through },
    );
    applyFlow('through', flow([{ ask: { set: { y: [[42]] } } }]));
    expect(elements((await serving.infer({ model: 'both', inputs: rows([1, 2]) })).outputs)).toEqual([3]);
    serve('both/2', { flow: 'through' });
    expect(elements((await serving.infer({ model: 'both', ref: 2, inputs: rows([1, 2]) })).outputs)).toEqual([
      42,
    ]);
    const { settle } = ensembles.kinds.workflow;
    expect(settle!({ flow: 'through' })).toEqual({
      flow: 'through',
      version: 2,
      digest: expect.stringMatching(/^sha256:/),
    });
    expect(settle!({ flow: 'through', version: 1 })).toEqual({ flow: 'through', version: 1 });
  });
});

describe('ensembles that ask each other', () => {
  const asks = (model: string) => flow([{ ask: infer(model) }]);

  it('are refused when one would ask itself, directly or not', async () => {
    const { verify, serve } = under(
      { 'risk/1': sum },
      { self: asks('a'), a: asks('b'), b: asks('risk'), c: asks('a') },
    );
    await expect(verify('a', { flow: 'self' })).rejects.toMatchObject({
      code: 'models.flow_cycle',
      message: expect.stringContaining('a → a'),
    });
    serve('b/1', { flow: 'b' });
    serve('a/1', { flow: 'a' });
    expect(await verify('c', { flow: 'c' })).toMatchObject({ ok: true });
    await expect(verify('b', { flow: 'c' })).rejects.toMatchObject({
      code: 'models.flow_cycle',
      message: expect.stringContaining('b → a → b'),
    });
  });

  it('are refused where an alias would come to mean one that closes a circle', async () => {
    const models = { 'risk/1': sum, 'b/1': { flow: 'b' }, 'a/1': { flow: 'a' } };
    const { serving, serve } = under(models, { a: asks('b'), b: asks('risk'), c: asks('a') });
    await serving.load('a');
    serve('b/2', { flow: 'c' });
    await expect(serving.load('b', 2)).rejects.toMatchObject({
      code: 'serving.unavailable',
      message: expect.stringContaining('b → a → b'),
    });
  });

  it('end at a depth when aliases were moved into a circle under them', async () => {
    const { serving, serve, promote } = under(
      { 'risk/1': sum, 'a/1': { flow: 'a' }, 'b/1': { flow: 'risk' }, 'c/1': { flow: 'risk' } },
      { risk: asks('risk'), a: asks('b'), b: asks('c'), c: asks('a') },
      { limits: 'ensembleDepthMax=4' },
    );
    serve('b/2', { flow: 'b' });
    serve('c/2', { flow: 'c' });
    for (const [name, version] of [
      ['a', 1],
      ['b', 2],
      ['c', 2],
    ] as const)
      await serving.load(name, version);
    promote('b', 2);
    promote('c', 2);
    await expect(serving.infer({ model: 'a', inputs: rows([1, 2]) })).rejects.toMatchObject({
      code: 'serving.depth_exceeded',
      message: expect.stringContaining('4 ensembles have asked each other (ensembleDepthMax)'),
    });
  });
});

describe('the answers of an ensemble', () => {
  const cache = { cache: { ttlMs: 60_000 } };
  const pinned = (more: JsonObject = {}) =>
    flow([
      {
        ask: {
          ...infer('risk', more),
          with: { model: 'risk', ref: 1, inputs: { x: '${ input.x }' }, ...more },
        },
      },
    ]);
  const counted = () => {
    const count = { runs: 0 };
    const row = ([a]: readonly [number, number]) => {
      if (a > 1) count.runs++;
      return a;
    };
    return { count, row };
  };

  it.each([
    ['are kept when all that it asks is fixed to a version', pinned(), 1],
    ['are kept through an ensemble that is fixed too', flow([{ ask: infer('inner', { ref: 1 }) }]), 1],
    ['are not kept when it asks an alias', through, 2],
    ['are not kept when an expression says what it asks', pinned({ ref: '${ 1 }' }), 2],
    [
      'are not kept when it decides: a table has no version here',
      flow([
        {
          d: { call: 'decide:1@default', with: { decision: 't', input: { y: 1 } }, output: { as: 'input' } },
        },
        { ask: infer('risk', { ref: 1 }) },
      ]),
      2,
    ],
  ])('%s', async (_, body, runs) => {
    const { count, row } = counted();
    const models = {
      'risk/1': { row },
      'inner/1': { flow: 'inner' },
      'both/1': { flow: 'body', serving: cache },
    };
    const { serving } = under(models, { body, inner: pinned() });
    await serving.load('both');
    for (let i = 0; i < 2; i++)
      expect(elements((await serving.infer({ model: 'both', inputs: rows([7, 2]) })).outputs)).toEqual([7]);
    expect(count.runs).toBe(runs);
  });

  it('are told as kept, with what made them', async () => {
    const models = { 'risk/1': sum, 'both/1': { flow: 'body', serving: cache } };
    const { serving } = under(models, { body: pinned() });
    await serving.load('both');
    await serving.infer({ model: 'both', inputs: rows([7, 2]) });
    const again = await serving.infer({ model: 'both', inputs: rows([7, 2]) });
    expect(again).toMatchObject({ cached: 'hit', parameters: { cached: 'hit', parts: 'risk/1' } });
  });
});

describe('the readiness of an ensemble', () => {
  it('is that of its models: they are there, and warm before it answers', async () => {
    const { serving, forget } = under({ 'risk/1': sum, 'both/1': { flow: 'through' } }, { through });
    expect(serving.isReady('both')).toBe(false);
    await serving.load('both');
    expect([serving.isReady('both'), serving.isReady('risk')]).toEqual([true, true]);
    forget('risk/1');
    expect(serving.isReady('both')).toBe(false);
  });

  it('comes back by itself when what it asks is there again', async () => {
    const { serving, serve, forget } = under({ 'risk/1': sum, 'both/1': { flow: 'through' } }, { through });
    forget('risk/1');
    await expect(serving.infer({ model: 'both', inputs: rows([1, 2]) })).rejects.toMatchObject({
      code: 'serving.unavailable',
    });
    serve('risk/1', sum);
    await expect
      .poll(
        () =>
          serving.infer({ model: 'both', inputs: rows([1, 2]) }).then(
            () => 'answered',
            () => 'not',
          ),
        { timeout: 5_000 },
      )
      .toBe('answered');
  });
});
