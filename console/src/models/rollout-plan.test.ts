import { describe, expect, it } from 'vitest';
import {
  faultsOf,
  lastsSeconds,
  mayAddStep,
  NEW_PLAN,
  type PlanDraft,
  requestOf,
  type StepDraft,
  sharesText,
  withStep,
} from './rollout-plan.ts';

const steps = (...parts: [StepDraft['percent'], StepDraft['wait'], StepDraft['unit']][]): PlanDraft => ({
  ...NEW_PLAN,
  steps: parts.map(([percent, wait, unit], id) => ({ id, percent, wait, unit })),
});
const of = (draft: PlanDraft) => ({ model: 'risk', version: 2, draft, isForced: false });

describe('the schedule of a canary', () => {
  const three = steps([5, 10, 'minutes'], [25, 1.5, 'hours'], [50, 10, 'open']);

  it('is asked for as the API and the terminal take it', () => {
    expect(requestOf('canary', of(three))).toEqual({
      body: {
        challenger: 2,
        kind: 'canary',
        steps: [{ percent: 5, waitSeconds: 600 }, { percent: 25, waitSeconds: 5400 }, { percent: 50 }],
      },
      cli: 'models rollout risk start --challenger 2 --kind canary --steps 5:10m,25:5400s,50',
    });
    const promoted = { ...steps([50, 1, 'days']), thenPromote: true };
    expect(requestOf('canary', of(promoted))).toEqual({
      body: {
        challenger: 2,
        kind: 'canary',
        steps: [{ percent: 50, waitSeconds: 86_400 }],
        thenPromote: true,
      },
      cli: 'models rollout risk start --challenger 2 --kind canary --steps 50:1d --then-promote',
    });
  });

  it('grows by twice the share before; the step before then ends by itself', () => {
    const grown = withStep(withStep(NEW_PLAN));
    expect(grown.steps.map(({ percent, unit }) => [percent, unit])).toEqual([
      [5, 'minutes'],
      [10, 'minutes'],
      [20, 'open'],
    ]);
    expect(new Set(grown.steps.map(({ id }) => id)).size).toBe(3);
    expect(withStep({ ...NEW_PLAN, thenPromote: true }).steps.at(-1)?.unit).toBe('minutes');
    expect([mayAddStep(NEW_PLAN), mayAddStep(steps([100, 1, 'open']))]).toEqual([true, false]);
  });

  it('is told in a row, with how long it lasts', () => {
    expect([sharesText(three), lastsSeconds(three)]).toEqual(['5 → 25 → 50 %', undefined]);
    expect(lastsSeconds(steps([5, 10, 'minutes'], [25, 1, 'hours']))).toBe(4200);
  });

  it.each<[string, PlanDraft, object]>([
    ['nothing', three, {}],
    ['a share that is not a number', steps(['', 1, 'open']), { 'percent-0': '0 to 100' }],
    ['a share above all', steps([101, 1, 'open']), { 'percent-0': '0 to 100' }],
    [
      'a share that does not grow',
      steps([5, 1, 'hours'], [5, 1, 'open']),
      { 'percent-1': 'More than before' },
    ],
    ['a time of nothing', steps([5, 0, 'hours']), { 'wait-0': 'A time above 0' }],
    [
      'a promotion by itself that waits for somebody',
      { ...three, thenPromote: true },
      { 'wait-2': 'Promoted by itself, each step needs a time' },
    ],
  ])('has %s against it', (_, draft, faults) => {
    expect(faultsOf('canary', draft)).toEqual(faults);
  });
});

describe('an A/B test', () => {
  const test = {
    ...NEW_PLAN,
    outcome: "it's bought ",
    effect: '0.1',
    samplesMin: 500,
    higherIsBetter: false,
  };

  it('is asked for with its outcome', () => {
    const outcome = { name: "it's bought", higherIsBetter: false, effect: 0.1, samplesMin: 500 };
    expect(requestOf('ab', of(test))).toEqual({
      body: { challenger: 2, kind: 'ab', percent: 50, outcome },
      cli: `models rollout risk start --challenger 2 --kind ab --plan '{"percent":50,"outcome":{"name":"it'\\''s bought","higherIsBetter":false,"effect":0.1,"samplesMin":500}}'`,
    });
  });

  it.each<[Partial<PlanDraft>, string]>([
    [{ outcome: ' ' }, 'outcome'],
    [{ percent: 0 }, 'percent'],
    [{ percent: 100 }, 'percent'],
    [{ percent: '' }, 'percent'],
    [{ effect: 0 }, 'effect'],
    [{ samplesMin: 1 }, 'samplesMin'],
  ])('is refused with %j', (part, field) => {
    expect(Object.keys(faultsOf('ab', { ...test, ...part }))).toEqual([field]);
    expect(faultsOf('ab', test)).toEqual({});
  });
});

it('copies need nothing', () => {
  expect(requestOf('shadow', of(NEW_PLAN))).toEqual({
    body: { challenger: 2, kind: 'shadow' },
    cli: 'models rollout risk start --challenger 2 --kind shadow',
  });
  expect(requestOf('shadow', { ...of(NEW_PLAN), isForced: true })).toEqual({
    body: { challenger: 2, kind: 'shadow', force: true },
    cli: 'models rollout risk start --challenger 2 --kind shadow --force',
  });
  expect(faultsOf('shadow', { ...NEW_PLAN, percent: '' })).toEqual({});
});
