import { expect, it } from 'vitest';
import { AiosError } from '../../kernel/errors.ts';
import { RolloutRouter } from './rollout-router.ts';
import type { TrafficSplit } from './rollout-split.ts';

const SPLIT: TrafficSplit = {
  ...{ id: 'rollout_1', model: 'risk', alias: 'champion', champion: 1, challenger: 2 },
  ...{ percent: 100, comparison: null, shadow: false, isForced: true },
};

/** A call that some of the two versions take, the others refuse as none of theirs. */
async function ask(split: Partial<TrafficSplit>, takenBy: readonly number[]) {
  const router = new RolloutRouter(8);
  router.put([{ ...SPLIT, ...split }]);
  const run = async ({ ref }: { ref?: string | number }) => {
    if (!takenBy.includes(Number(ref))) throw new AiosError('serving.tensor_shape');
    return { outputs: { y: Number(ref) }, costMicroUsd: 0 };
  };
  const outcome = await router.route(router.find('risk', undefined)!, {}, run).then(
    ({ outputs }) => outputs,
    ({ code }: AiosError) => code,
  );
  const [counts] = router.drain();
  const told = ({ requests, errors }: { requests: number; errors: number }) => [requests, errors];
  return { outcome, counted: counts && [told(counts.champion), told(counts.challenger)] };
}
const justAboveNone = Number.MIN_VALUE;

it.each([
  [
    'of the form before, given to the challenger',
    {},
    1,
    { y: 1 },
    [
      [1, 0],
      [0, 0],
    ],
  ],
  [
    'of the new form, given to the champion',
    { percent: justAboveNone },
    2,
    { y: 2 },
    [
      [0, 0],
      [1, 0],
    ],
  ],
])(
  'a call %s, goes to the version that takes it, and is no failure of the other',
  async (_, split, by, outcome, counted) => {
    expect(await ask(split, [by])).toEqual({ outcome, counted });
  },
);

it.each([
  ['that is not forced', { isForced: false, percent: justAboveNone }],
  ['that gives the challenger no traffic', { percent: 0 }],
  ['that is a shadow', { percent: 0, shadow: true }],
])('a call of the new form stays wrong under a rollout %s', async (_, split) => {
  expect(await ask(split, [2])).toEqual({ outcome: 'serving.tensor_shape', counted: undefined });
});

it('a call that neither takes is its caller’s fault', async () => {
  expect(await ask({}, [])).toEqual({ outcome: 'serving.tensor_shape', counted: undefined });
});
