import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { AiosError } from '../../kernel/errors.ts';
import { RolloutRouter } from './rollout-router.ts';
import type { Serving } from './serving.ts';
import type { FallbackOptions, TrafficOptions } from './traffic-options.ts';
import { rows, SIGNATURE, servingUnderTest, sums } from './traffic-under-test.ts';

const open: Serving[] = [];
afterEach(() => {
  for (const serving of open.splice(0)) serving.close();
});
const hang = () => new Promise<never>(() => {});
const call = { model: 'risk', features: { a: 2, b: 3 } };

/** A champion that hangs, and what its definition falls back to. */
function falling(
  fallback: NonNullable<TrafficOptions['fallback']>,
  more: Parameters<typeof servingUnderTest>[0] = {},
) {
  const made = servingUnderTest({
    'risk/3': { run: hang, options: { timeoutMs: 20, fallback } },
    'risk/2': {},
    'rules/1': {},
    ...more,
  });
  open.push(made.serving);
  return made;
}

describe('a fallback chain', () => {
  it.each([
    [
      'another version',
      { ref: 2 },
      { total: 205 },
      { model: 'risk', version: 2, digest: 'risk/2' },
      'version',
    ],
    ['another model', { model: 'rules' }, { total: 105 }, { model: 'rules', version: 1 }, 'model'],
    [
      'an answer that is written down',
      { default: { outputs: { sum: [-1] } } },
      { total: -1 },
      { model: 'risk', version: 3, costMicroUsd: 0 },
      'default',
    ],
    [
      'named results that are written down',
      { default: { results: { total: 7 } } },
      { total: 7 },
      { model: 'risk', version: 3 },
      'default',
    ],
  ])('answers with %s, and marks it', async (_, step, outputs, by, how) => {
    const { serving } = falling([step as FallbackOptions]);
    await serving.load('risk');
    const answer = await serving.score(call);
    expect(answer).toMatchObject({
      outputs,
      ...by,
      degraded: { model: 'risk', version: 3, reason: 'serving.timeout', by: how },
    });
    expect(answer.parameters).toEqual({
      degraded: true,
      degraded_by: how,
      degraded_reason: 'serving.timeout',
      degraded_from: 'risk/3',
    });
    expect(serving.statistics()['risk/3']).toMatchObject({ degraded: 1 });
  });

  it('is warm before it is needed, and stays as long as the version that falls back to it', async () => {
    const { serving } = falling([{ ref: 2 }, { ref: 9 }, { model: 'rules' }]);
    await serving.load('risk');
    await expect.poll(() => serving.isReady('risk', 2) && serving.isReady('rules')).toBe(true);
    serving.unloadIdle(performance.now() + 700_000);
    expect(Object.keys(serving.statistics()).sort()).toEqual(['risk/2', 'risk/3', 'rules/1']);
    const later = falling([]);
    await later.serving.load('risk');
    later.serve('risk/3', { options: { fallback: [{ model: 'rules' }] } });
    await later.serving.load('risk');
    await expect.poll(() => later.serving.isReady('rules')).toBe(true);
  });

  it('writes an answer of tensors for each row, in the datatypes and shapes of the signature', async () => {
    const outputs = [
      { name: 'label', datatype: 'INT64', shape: [-1] },
      { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
      { name: 'wide', datatype: 'FP64', shape: [-1, -1, 2] },
      { name: 'known', datatype: 'BOOL', shape: [-1, 1] },
    ] as const;
    const answer = {
      label: 1,
      probabilities: [0.5, 0.25],
      wide: [
        [1, 2],
        [3, 4],
      ],
      known: [false],
    };
    const { serving } = falling([], {
      'risk/3': {
        run: hang,
        signature: { ...SIGNATURE, outputs, results: undefined },
        options: { timeoutMs: 20, fallback: [{ default: { outputs: answer } }] },
      },
    });
    await serving.load('risk');
    const { outputs: given, degraded } = await serving.infer({ model: 'risk', inputs: rows([2, 3], [4, 5]) });
    expect(degraded?.by).toBe('default');
    expect(given).toEqual([
      { name: 'label', datatype: 'INT64', shape: [2], data: BigInt64Array.of(1n, 1n) },
      { name: 'probabilities', datatype: 'FP32', shape: [2, 2], data: Float32Array.of(0.5, 0.25, 0.5, 0.25) },
      { name: 'wide', datatype: 'FP64', shape: [2, 2, 2], data: Float64Array.of(1, 2, 3, 4, 1, 2, 3, 4) },
      { name: 'known', datatype: 'BOOL', shape: [2, 1], data: Uint8Array.of(0, 0) },
    ]);
  });

  it('goes on to the next step when one cannot answer, and says what each said when none can', async () => {
    const { serving } = falling([{ ref: 9 }, { ref: 3 }, { ref: 2 }, { model: 'rules' }], {
      'risk/2': { run: hang, options: { timeoutMs: 20 } },
    });
    expect(await serving.score(call)).toMatchObject({ model: 'rules', outputs: { total: 105 } });
    const none = falling([{ ref: 9 }, { ref: 3 }, { default: { outputs: { other: [1] } } }]);
    await expect(none.serving.score(call)).rejects.toMatchObject({
      code: 'serving.timeout',
      extensions: {
        fallbacks: [
          'There is no risk.',
          'risk/3: it is the version that failed',
          'The default answer of risk/3: the output “sum” is not written down.',
        ],
      },
    });
    expect(none.serving.statistics()['risk/3']!.degraded).toBe(0);
  });

  it('says which element of a default answer is none, and gives nobody an answer that others may change', async () => {
    const wrong = falling([{ default: { outputs: { sum: ['much'] } } }]);
    await expect(wrong.serving.score(call)).rejects.toMatchObject({
      code: 'serving.timeout',
      extensions: {
        fallbacks: ['The default answer of risk/3: the output “sum”, element 0: "much" is not a valid FP32.'],
      },
    });
    const { serving } = falling([{ default: { results: { total: 7 } } }]);
    const first = await serving.score(call);
    first.outputs.total = 8;
    expect((await serving.score(call)).outputs).toEqual({ total: 7 });
  });

  it('is not asked for what the caller has at fault, nor for a model that refuses the values', async () => {
    const { serving, runs } = falling([{ ref: 2 }], {
      'risk/3': {
        run: () => {
          throw new Error('out of range');
        },
        options: { fallback: [{ ref: 2 }] },
      },
    });
    await expect(serving.score({ model: 'risk', features: { a: 2 } })).rejects.toMatchObject({
      code: 'serving.feature_invalid',
    });
    await expect(serving.score(call)).rejects.toMatchObject({ code: 'serving.model_failed' });
    await expect(serving.infer({ model: 'risk', inputs: [] })).rejects.toMatchObject({
      code: 'serving.missing_input',
    });
    expect(runs['risk/2']).toBeUndefined();
  });

  it('ends with the caller: canceled it answers nothing, and after the deadline only what needs no time', async () => {
    const slow = { run: hang, options: { timeoutMs: 5_000, fallback: [{ ref: 2 }] } };
    const { serving, runs } = falling([], { 'risk/3': slow });
    await serving.load('risk');
    const controller = new AbortController();
    const canceled = serving.score({ ...call, signal: controller.signal });
    setTimeout(() => controller.abort(), 5);
    await expect(canceled).rejects.toMatchObject({ code: 'serving.canceled' });
    await expect(serving.score({ ...call, deadlineMs: 15 })).rejects.toMatchObject({
      code: 'serving.timeout',
      extensions: { fallbacks: ['risk/2: no time was left'] },
    });
    expect(runs['risk/2']).toBeUndefined();
    const written = { ...slow.options, fallback: [{ ref: 2 }, { default: { results: { total: 0 } } }] };
    const other = falling([], { 'risk/3': { ...slow, options: written } });
    await other.serving.load('risk');
    expect(await other.serving.score({ ...call, deadlineMs: 15 })).toMatchObject({ outputs: { total: 0 } });
  });

  it('answers while the circuit of the version is open, and while its queue is full', async () => {
    const breaker = { errorRate: 0.1, callsMin: 2, openMs: 60_000 };
    const { serving, runs } = falling([], {
      'risk/3': { run: hang, options: { timeoutMs: 20, breaker, fallback: [{ ref: 2 }] } },
    });
    await serving.load('risk');
    for (let i = 0; i < 2; i++) expect((await serving.score(call)).degraded?.reason).toBe('serving.timeout');
    const ran = runs['risk/3'];
    for (let i = 0; i < 3; i++)
      expect((await serving.score(call)).degraded?.reason).toBe('serving.circuit_open');
    expect(runs['risk/3']).toBe(ran);
    const full = falling([], { 'risk/3': { options: { queueMax: 1, fallback: [{ ref: 2 }] } } });
    const reasons = (await Promise.all([1, 2, 3].map(() => full.serving.score(call)))).map(
      ({ degraded }) => degraded?.reason,
    );
    expect(reasons.filter(Boolean)).toEqual(['request.overloaded', 'request.overloaded']);
  });

  it('hides every end of a replica from callers', async () => {
    const { serving, replicas } = falling([], {
      'risk/3': {
        run: async (tensors) => {
          await new Promise((resolve) => setTimeout(resolve, 2));
          return sums(tensors, 3);
        },
        options: { fallback: [{ ref: 2 }] },
      },
    });
    await Promise.all([serving.load('risk'), serving.load('risk', 2)]);
    let [own, other] = [0, 0];
    const isOver = () => own > 20 && other > 5;
    const killing = async () => {
      for (let i = 0; !isOver(); i++) {
        replicas.get('risk/3')!.at(-1)!.kill();
        await new Promise((resolve) => setTimeout(resolve, 1 + (i % 8)));
      }
    };
    const caller = async () => {
      while (!isOver()) {
        const { outputs, version, degraded } = await serving.score(call);
        expect(outputs.total).toBe(5 + 100 * version);
        expect(degraded === undefined).toBe(version === 3);
        if (degraded) other++;
        else own++;
      }
    };
    await Promise.all([killing(), ...Array.from({ length: 8 }, caller)]);
  });
});

describe('under a rollout', () => {
  const split = {
    id: 'r1',
    model: 'risk',
    alias: 'champion',
    champion: 2,
    challenger: 3,
    percent: 0,
    comparison: null,
    shadow: false,
    isForced: false,
  };
  const limit = { rateLimit: { perSecond: 0.001, burst: 1 } };

  function rolled(part: Partial<typeof split>, fallback: FallbackOptions[]) {
    const rollouts = new RolloutRouter(8);
    rollouts.put([{ ...split, ...part }]);
    const made = servingUnderTest(
      {
        'risk/2': { options: limit },
        'risk/3': { run: hang, options: { ...limit, timeoutMs: 20, fallback } },
      },
      { rollouts },
    );
    open.push(made.serving);
    return { ...made, rollouts };
  }

  it('a version whose fallback answers is counted as failing', async () => {
    const { serving, rollouts } = rolled({ percent: 100 }, [{ ref: 2 }]);
    expect(await serving.score(call)).toMatchObject({ version: 2, degraded: { version: 3 } });
    expect(rollouts.drain()).toMatchObject([{ challenger: { requests: 1, errors: 1 } }]);
  });

  it('a copy is not answered by a fallback, and takes nothing of the rate of a key', async () => {
    const copied = { shadow: true, comparison: { share: 1, tolerance: 0 } };
    const { serving, rollouts, runs } = rolled(copied as object, [{ ref: 2 }]);
    await Promise.all([serving.load('risk', 2), serving.load('risk', 3)]);
    const caller = { kind: 'key', id: 'k1' };
    expect(await serving.score({ ...call, caller })).toMatchObject({ version: 2 });
    const errors = () => rollouts.drain().reduce((sum, { challenger }) => sum + challenger.errors, 0);
    await expect.poll(errors).toBe(1);
    expect(runs).toEqual({ 'risk/2': 1, 'risk/3': 1 });
  });
});

describe('under random failures', () => {
  const CODES = new Set([
    'serving.timeout',
    'serving.unavailable',
    'serving.replica_lost',
    'serving.model_failed',
    'serving.circuit_open',
    'serving.canceled',
    'request.overloaded',
  ]);
  type Way = 'answers' | 'fails' | 'hangs' | 'dies';
  const way = fc.constantFrom<Way>('answers', 'answers', 'answers', 'fails', 'hangs', 'dies');
  const options = fc.record(
    {
      cache: fc.constant({ ttlMs: 3 }),
      breaker: fc.constant({ errorRate: 0.3, callsMin: 3, windowMs: 100, openMs: 5, probes: 1 }),
      fallback: fc.subarray<FallbackOptions>([
        { ref: 2 },
        { model: 'rules' },
        { default: { outputs: { sum: [-5] } } },
      ]),
    },
    { requiredKeys: [] },
  );

  it('callers get the right answer of the version that is named, a marked one, or an error by name', async () => {
    const behaviour = fc.array(way, { minLength: 1, maxLength: 12 });
    const history = fc.record({ champion: behaviour, second: behaviour, third: behaviour, options });
    await fc.assert(
      fc.asyncProperty(history, async ({ champion, second, third, options: traffic }) => {
        const acting = (label: string, ways: Way[], version: number) => {
          let turn = 0;
          return (tensors: Parameters<typeof sums>[0]) => {
            const next = ways[turn++ % ways.length]!;
            if (next === 'answers') return sums(tensors, version);
            if (next === 'fails') throw new Error('no');
            if (next === 'dies') replicas.get(label)!.at(-1)!.kill();
            return hang();
          };
        };
        const own = { timeoutMs: 6, queueMax: 8 };
        const { serving, replicas } = servingUnderTest({
          'risk/3': { run: (t) => acting3(t), options: { ...own, ...traffic } },
          'risk/2': { run: (t) => acting2(t), options: { ...own, ...traffic } },
          'rules/1': { run: (t) => acting1(t), options: own },
        });
        const acting3 = acting('risk/3', champion, 3);
        const acting2 = acting('risk/2', second, 2);
        const acting1 = acting('rules/1', third, 1);
        const calls = Array.from({ length: 24 }, async (_, i) => {
          await new Promise((resolve) => setTimeout(resolve, i % 5));
          const features = { a: 2 + (i % 6), b: 3 };
          const signal = i % 11 === 10 ? AbortSignal.timeout(2) : undefined;
          try {
            const { outputs, model, version, degraded } = await serving.score({
              model: 'risk',
              features,
              deadlineMs: 120,
              signal,
            });
            if (degraded?.by === 'default') expect(outputs).toEqual({ total: -5 });
            else expect(outputs.total).toBe(features.a + features.b + 100 * version);
            expect(degraded === undefined).toBe(model === 'risk' && version === 3 && outputs.total !== -5);
          } catch (error) {
            if (!(error instanceof AiosError)) throw error;
            expect(CODES).toContain(error.code);
            const isAnswered = traffic.fallback?.some((step) => 'default' in step);
            if (isAnswered) expect(['serving.model_failed', 'serving.canceled']).toContain(error.code);
          }
        });
        try {
          await Promise.all(calls);
        } finally {
          serving.close();
        }
      }),
      { numRuns: 25 },
    );
  }, 60_000);
});
