import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { AiosError } from '../../kernel/errors.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { createFunctionRuntime, type FunctionModel } from '../runtimes/function-runtime.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import type { Signature } from '../tensors/signature.ts';
import { elementOf, type TensorSpec } from '../tensors/tensor.ts';
import { RolloutRouter } from './rollout-router.ts';
import { ActiveSplit, type SplitCounts, type TrafficSplit } from './rollout-split.ts';
import { createServing, type ServedModel, type Serving } from './serving.ts';

const SPLIT: TrafficSplit = {
  id: 'rollout_1',
  model: 'risk',
  alias: 'champion',
  champion: 1,
  challenger: 2,
  percent: 0,
  comparison: null,
  shadow: false,
  isForced: false,
};
const inputs: TensorSpec[] = [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }];
const outputs: TensorSpec[] = [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }];
const signature: Signature = { inputs, outputs, features: ['x'] };
const SLOW = 77;
const OPTIONS = {
  replicas: 1,
  batchMax: 8,
  batch: { max: 8 }, // nothing is measured: the runs are counted
  timeoutMs: 5_000,
  queueMax: 100,
  costPerInferenceMicroUsd: 2,
  costPerComputeSecondMicroUsd: 0,
};

const open: Serving[] = [];
afterEach(() => {
  for (const serving of open.splice(0)) serving.close();
});

/** Adds to each row what the version adds. */
const adds =
  (amount: number): FunctionModel['run'] =>
  ([x]) => [
    {
      name: 'y',
      datatype: 'FP32',
      shape: x!.shape,
      data: Float32Array.from(x!.data as Float32Array, (v) => v + amount),
    },
  ];

/** Fast while it is warmed with zeros and ones. */
const slow =
  (ms: number): FunctionModel['run'] =>
  async (tensors) => {
    if (elementOf(tensors[0]!, 0) === SLOW) await sleep(ms);
    return adds(2)(tensors);
  };

function setUp(
  split: Partial<TrafficSplit>,
  challenger: FunctionModel['run'] = adds(2),
  more: Partial<ServedModel['serving']> = {},
  copiesMax = 8,
  limits = '',
) {
  const runtimes = [adds(1), challenger].map((run) =>
    createFunctionRuntime({ risk: { inputs, outputs, run } }),
  );
  const runtime: Runtime = {
    start: (source) => runtimes[source.digest === 'v2' ? 1 : 0]!.start(source),
  };
  const versions = [1, 2].map((version) => ({
    name: 'risk',
    version,
    digest: `v${version}`,
    signature,
    serving: { ...OPTIONS, ...more },
    runtime: 'r',
  }));
  const rollouts = new RolloutRouter(copiesMax);
  rollouts.put([{ ...SPLIT, ...split }]);
  const serving = createServing({
    models: {
      resolve: (_name, reference) => versions[reference === 2 ? 1 : 0]!,
      artifact: async () => new Uint8Array(),
    },
    runtimes: { r: runtime },
    rollouts,
    limits: limitsFrom(limits),
  });
  open.push(serving);
  const score = (x: number, stickyKey?: string) =>
    serving.score({ model: 'risk', features: { x }, stickyKey });
  return { rollouts, serving, score };
}

describe('the split of a rollout', () => {
  it('keeps a key on its side, and as the percent grows moves keys to the challenger only', () => {
    const percent = fc.double({ min: 0, max: 100, noNaN: true });
    fc.assert(
      fc.property(fc.string(), fc.string(), percent, percent, (id, key, one, other) => {
        const [low, high] = [Math.min(one, other), Math.max(one, other)];
        const at = (share: number) => new ActiveSplit({ ...SPLIT, id, percent: share }).sideOf(key);
        expect(at(low)).toBe(at(low));
        if (at(low) === 'challenger') expect(at(high)).toBe('challenger');
        expect([at(0), at(100)]).toEqual(['champion', 'challenger']);
      }),
    );
  });

  it.each([
    ['numbers that count up', (i: number) => String(i)],
    ['ids', (i: number) => `order-2026-${i * 7}-eu`],
    ['no key', () => undefined],
  ])('gives the challenger its percent of %s', (_of, keyOf) => {
    for (const percent of [1, 10, 33.3, 50, 90]) {
      const split = new ActiveSplit({ ...SPLIT, percent });
      const count = 20_000;
      let challengers = 0;
      for (let i = 0; i < count; i++) if (split.sideOf(keyOf(i)) === 'challenger') challengers++;
      const deviation = Math.sqrt(count * (percent / 100) * (1 - percent / 100));
      expect(Math.abs(challengers - (count * percent) / 100)).toBeLessThan(4 * deviation);
    }
  });

  it('puts other keys on a side in another rollout', () => {
    const sides = ['a', 'b'].map((id) => {
      const split = new ActiveSplit({ ...SPLIT, id, percent: 50 });
      return Array.from({ length: 200 }, (_, i) => split.sideOf(`key ${i}`));
    });
    const same = sides[0]!.filter((side, i) => side === sides[1]![i]).length;
    expect(same).toBeGreaterThan(60);
    expect(same).toBeLessThan(140);
  });
});

describe('traffic under a rollout', () => {
  it('answers by the version that the key is given to, and counts both', async () => {
    const { score, rollouts } = setUp({ percent: 50 });
    const split = rollouts.find('risk', undefined)!;
    for (let i = 0; i < 40; i++) {
      const side = split.sideOf(`key ${i}`);
      const { version, outputs: found } = await score(10, `key ${i}`);
      expect([version, found.y]).toEqual(side === 'challenger' ? [2, 12] : [1, 11]);
    }
    const [counts] = rollouts.drain();
    expect(counts!.champion.requests + counts!.challenger.requests).toBe(40);
    expect(Object.values(counts!.champion.latencies).reduce((a, b) => a + b, 0)).toBe(
      counts!.champion.requests,
    );
    expect(rollouts.drain()).toEqual([]);
  });

  it('leaves calls of a version, of another alias, and of other models alone', async () => {
    const { rollouts, serving } = setUp({ percent: 100 });
    expect((await serving.score({ model: 'risk', ref: 1, features: { x: 1 } })).version).toBe(1);
    expect((await serving.score({ model: 'risk', ref: 'champion', features: { x: 1 } })).version).toBe(2);
    expect(rollouts.find('risk', 'other')).toBeUndefined();
    expect(rollouts.find('else', undefined)).toBeUndefined();
    rollouts.put([]);
    expect((await serving.score({ model: 'risk', features: { x: 1 } })).version).toBe(1);
    expect(rollouts.drain()).toMatchObject([{ challenger: { requests: 1 } }]); // counts outlive their split once
  });

  it('counts what a version fails at as its error, and what a caller sends wrong as nothing', async () => {
    const fails: FunctionModel['run'] = () => {
      throw new Error('no such branch');
    };
    const { score, serving, rollouts } = setUp({ percent: 100 }, fails);
    await expect(score(1)).rejects.toMatchObject({ code: 'serving.unavailable' });
    await expect(serving.infer({ model: 'risk', inputs: [] })).rejects.toMatchObject({
      code: 'serving.missing_input',
    });
    expect(rollouts.drain()).toMatchObject([{ challenger: { requests: 1, errors: 1 } }]);
  });

  it.each<[string, ServedModel['serving']['fallback']]>([
    ['fails', []],
    ['is answered by what is written down', [{ default: { results: { y: 0.5 } } }]],
  ])(
    'counts a call as nothing that %s because its caller has less patience than a batch may take',
    async (_, fallback) => {
      const { serving, rollouts } = setUp({ percent: 100 }, slow(60_000), { fallback });
      await serving.load('risk', 2);
      const asked = serving.score({ model: 'risk', features: { x: SLOW }, deadlineMs: 30 });
      const told = await asked.catch((error: AiosError) => ({
        degraded: { ...error.extensions, reason: error.code },
      }));
      expect(told).toMatchObject({ degraded: { reason: 'serving.timeout', deadlineOf: 'caller' } });
      expect(rollouts.drain()).toEqual([]);
    },
  );

  it('counts a call that waited longer than a batch may take, however patient its caller', async () => {
    const { serving, rollouts } = setUp({ percent: 100 }, slow(60_000), { timeoutMs: 100 });
    await serving.load('risk', 2);
    const asked = serving.score({ model: 'risk', features: { x: SLOW }, deadlineMs: 60_000 });
    await expect(asked).rejects.toMatchObject({ code: 'serving.timeout' });
    expect(rollouts.drain()).toMatchObject([{ challenger: { requests: 1, errors: 1 } }]);
  });
});

describe('a call that the challenger does not take', () => {
  const asked: object[] = [];
  const ask = async (takenBy: readonly number[]) => {
    const router = new RolloutRouter(8);
    router.put([{ ...SPLIT, percent: 100 }]);
    asked.length = 0;
    const run = async ({ ref, isPart }: { ref?: string | number; isPart?: boolean }) => {
      asked.push({ ref, isPart });
      if (!takenBy.includes(Number(ref))) throw new AiosError('serving.feature_invalid');
      return { outputs: { y: Number(ref) }, costMicroUsd: 0 };
    };
    const answering = router.route(router.find('risk', undefined)!, {}, run);
    const outcome = await answering.then(
      ({ outputs }) => outputs,
      ({ code }: AiosError) => code,
    );
    return { outcome, counted: router.drain().map(({ challenger }) => challenger) };
  };

  it('is answered by the champion, once for the rate limit, and is a failure of the challenger', async () => {
    const { outcome, counted } = await ask([1]);
    expect(outcome).toEqual({ y: 1 });
    expect(counted).toMatchObject([{ requests: 1, errors: 1 }]);
    expect(asked).toEqual([
      { ref: 2, isPart: undefined },
      { ref: 1, isPart: true },
    ]);
  });

  it('is wrong where the champion does not take it either, and counts for nothing', async () => {
    expect(await ask([])).toEqual({ outcome: 'serving.feature_invalid', counted: [] });
  });
});

describe('an idle version', () => {
  it('stays loaded as long as it is under a rollout', async () => {
    const { serving, rollouts } = setUp({ percent: 1 });
    for (const version of [1, 2]) await serving.load('risk', version);
    const later = performance.now() + 2 * limitsFrom().modelIdleMs;
    serving.unloadIdle(later);
    expect([1, 2].map((version) => serving.isReady('risk', version))).toEqual([true, true]);
    rollouts.put([]);
    serving.unloadIdle(later);
    expect([1, 2].map((version) => serving.isReady('risk', version))).not.toEqual([true, true]);
  });
});

describe('a version whose last replica may end', () => {
  it('keeps it as long as it is under a rollout', async () => {
    const more = { replicas: { min: 0, max: 1 } };
    const { serving, rollouts } = setUp(
      { percent: 1 },
      adds(2),
      more,
      8,
      'replicaIdleMs=40,replicaScaleMs=20',
    );
    for (const version of [1, 2]) await serving.load('risk', version);
    const up = () => Object.values(serving.statistics()).map(({ replicas }) => replicas);
    await sleep(300);
    expect(up()).toEqual([1, 1]);
    rollouts.put([]);
    await expect.poll(up).toEqual([0, 0]);
  });
});

describe('a shadow', () => {
  const shadow = { shadow: true, comparison: { share: 1, tolerance: 1.5 } };

  it('answers by the champion, and compares a copy', async () => {
    const { score, rollouts } = setUp(shadow);
    for (let i = 0; i < 5; i++) expect(await score(i)).toMatchObject({ version: 1, outputs: { y: i + 1 } });
    const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
    const drained: SplitCounts[] = [];
    await expect
      .poll(() => {
        drained.push(...rollouts.drain());
        return sum(drained.map(({ challenger }) => challenger.compared));
      })
      .toBe(5);
    expect(sum(drained.map(({ champion }) => champion.requests))).toBe(5);
    for (const name of ['requests', 'agreed', 'differences', 'differenceSum'] as const)
      expect(sum(drained.map(({ challenger }) => challenger[name]))).toBe(5);
    expect(sum(drained.map(({ challenger }) => challenger.copiesMicroUsd))).toBe(10);
  });

  it('says nothing of the version by a copy that its cache answered, and compares it', async () => {
    const { score, rollouts } = setUp(shadow, adds(2), { cache: { ttlMs: 60_000 } });
    const counts = { champion: 0, challenger: 0, compared: 0 };
    for (let i = 0; i < 6; i++) {
      await score(5);
      await expect
        .poll(() => {
          for (const { champion, challenger } of rollouts.drain()) {
            counts.champion += champion.requests;
            counts.challenger += challenger.requests;
            counts.compared += challenger.compared;
          }
          return counts.compared;
        })
        .toBe(i + 1);
    }
    expect(counts).toEqual({ champion: 1, challenger: 1, compared: 6 });
  });

  it('neither delays nor fails an answer, whatever becomes of the copy, and leaves out what it has no room for', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let runs = 0;
    const hangs: FunctionModel['run'] = async (tensors) => {
      if (++runs > 3) await held; // the warm-up runs it too
      if (runs > 3) throw new Error('lost');
      return adds(2)(tensors);
    };
    const { score, rollouts, serving } = setUp(shadow, hangs, {}, 2);
    await serving.load('risk', 2);
    for (let i = 0; i < 10; i++) {
      expect((await score(i)).version).toBe(1);
      await turn();
    }
    const [counts] = rollouts.drain();
    expect(counts).toMatchObject({
      champion: { requests: 10, errors: 0 },
      challenger: { requests: 0, dropped: 8 },
    });
    release();
    await expect
      .poll(() => rollouts.drain()[0])
      .toMatchObject({ challenger: { requests: 2, errors: 2, compared: 0 } });
  });

  it('is not as impatient as the caller of what is copied', async () => {
    const { serving, rollouts } = setUp(shadow, slow(3_200));
    await serving.load('risk', 1);
    await serving.load('risk', 2);
    const answer = await serving.score({ model: 'risk', features: { x: SLOW }, deadlineMs: 3_000 });
    expect(answer.version).toBe(1);
    await expect
      .poll(() => rollouts.drain().map(({ challenger }) => challenger))
      .toMatchObject([{ requests: 1, errors: 0, compared: 1 }]);
  });

  it('lets the copy wait behind every request, whatever the priority of its own', async () => {
    const router = new RolloutRouter(8);
    router.put([{ ...SPLIT, ...shadow }]);
    const asked: unknown[] = [];
    const run = async ({ ref, priority, isCopy }: { ref?: unknown; priority?: number; isCopy?: boolean }) => {
      asked.push({ ref, priority, isCopy });
      return { outputs: { y: 1 }, costMicroUsd: 0 };
    };
    await router.route(router.find('risk', undefined)!, { priority: 1 }, run);
    await expect.poll(() => asked).toHaveLength(2);
    expect(asked).toEqual([
      { ref: 1, priority: 1, isCopy: undefined },
      { ref: 2, priority: 5, isCopy: true },
    ]);
  });

  it('neither counts nor copies what a copy of an ensemble asks', async () => {
    const { serving, rollouts } = setUp({ ...shadow, percent: 100 });
    const call = { model: 'risk', features: { x: 3 }, isCopy: true };
    expect((await serving.score(call)).version).toBe(2);
    await sleep(50);
    expect(rollouts.drain()).toEqual([]);
    expect((await serving.score({ ...call, isCopy: false })).version).toBe(2);
    await expect.poll(() => rollouts.drain().length).toBe(1);
  });

  it('copies a share of the requests', async () => {
    const { score, rollouts } = setUp(
      { ...shadow, comparison: { share: 0.25, tolerance: 0 } },
      adds(2),
      {},
      100,
    );
    for (let i = 0; i < 40; i++) await score(i);
    let compared = 0;
    await expect
      .poll(() => {
        compared += rollouts.drain()[0]?.challenger.compared ?? 0;
        return compared;
      })
      .toBeGreaterThanOrEqual(9);
    expect(compared).toBeLessThanOrEqual(11);
  });
});
