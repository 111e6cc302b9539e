import type { Json, JsonObject } from '../api/shapes.ts';
import { plainNumber } from '../display/format.ts';

/** How a version gets traffic. */
export type Way = 'shadow' | 'canary' | 'ab' | 'all';
export type WaitUnit = 'minutes' | 'hours' | 'days' | 'open';
/** What a number field holds: a text as long as it is not a number. */
type Field = number | string;

/** A share of the keys, and for how long. */
export interface StepDraft {
  readonly id: number;
  readonly percent: Field;
  readonly wait: Field;
  /** `open`: until somebody goes on. */
  readonly unit: WaitUnit;
}

/** A plan as its form holds it. */
export interface PlanDraft {
  readonly steps: readonly StepDraft[];
  readonly thenPromote: boolean;
  /** Of an A/B test. */
  readonly percent: Field;
  readonly outcome: string;
  readonly higherIsBetter: boolean;
  readonly effect: Field;
  readonly samplesMin: Field;
}

export const NEW_PLAN: PlanDraft = {
  steps: [{ id: 0, percent: 5, wait: 10, unit: 'open' }],
  thenPromote: false,
  percent: 50,
  outcome: '',
  higherIsBetter: true,
  effect: 0.05,
  samplesMin: 100,
};

const STEPS_MAX = 50; // as the API has it
const SECONDS: Readonly<Record<Exclude<WaitUnit, 'open'>, number>> = {
  minutes: 60,
  hours: 3600,
  days: 86_400,
};
const LETTER = { minutes: 'm', hours: 'h', days: 'd' } as const;

/** The plan with one more step, of twice the share before it; the last one before now ends by itself. */
export function withStep(draft: PlanDraft): PlanDraft {
  const last = draft.steps.at(-1);
  const percent = Math.min(100, Math.max(1, 2 * (Number(last?.percent) || 5)));
  const id = 1 + Math.max(-1, ...draft.steps.map((step) => step.id));
  const before = draft.steps.map((step) =>
    step === last && step.unit === 'open' ? { ...step, unit: 'minutes' as const } : step,
  );
  const unit = draft.thenPromote ? 'minutes' : 'open';
  return { ...draft, steps: [...before, { id, percent, wait: last?.wait ?? 10, unit }] };
}

export function mayAddStep({ steps }: PlanDraft): boolean {
  return steps.length < STEPS_MAX && Number(steps.at(-1)?.percent) < 100;
}

/**
 * What does not fit, by the field that it stands in: `percent-<id>` and `wait-<id>` of a step, or a member of the plan. Empty when all does.
 *
 * @example faultsOf('ab', { ...NEW_PLAN, outcome: '' }) // { outcome: 'What comes of a key, as it is reported' }
 */
export function faultsOf(way: Way, draft: PlanDraft): Readonly<Record<string, string>> {
  const faults: Record<string, string> = {};
  if (way === 'canary') {
    for (const [at, step] of draft.steps.entries()) {
      const before = draft.steps[at - 1];
      const fault = percentFault(step.percent, before);
      if (fault) faults[`percent-${step.id}`] = fault;
      if (step.unit !== 'open' && !(Number(step.wait) * SECONDS[step.unit] >= 1))
        faults[`wait-${step.id}`] = 'A time above 0';
      if (step.unit === 'open' && draft.thenPromote)
        faults[`wait-${step.id}`] = 'Promoted by itself, each step needs a time';
    }
  }
  if (way === 'ab') {
    if (!(draft.percent !== '' && Number(draft.percent) > 0 && Number(draft.percent) < 100))
      faults.percent = 'Above 0 and below 100: both need traffic';
    if (draft.outcome.trim() === '') faults.outcome = 'What comes of a key, as it is reported';
    if (!(Number(draft.effect) > 0)) faults.effect = 'Above 0, in the unit of the outcome';
    if (!(Number.isInteger(Number(draft.samplesMin)) && Number(draft.samplesMin) >= 2))
      faults.samplesMin = 'At least 2';
  }
  return faults;
}

function percentFault(percent: Field, before: StepDraft | undefined): string | undefined {
  if (percent === '' || !(Number(percent) >= 0 && Number(percent) <= 100)) return '0 to 100';
  if (before && Number(percent) <= Number(before.percent)) return 'More than before';
  return undefined;
}

/** What the API takes for a rollout, and the same for a terminal, after `aios`. */
export function requestOf(
  way: Exclude<Way, 'all'>,
  asked: { model: string; version: number; draft: PlanDraft; isForced: boolean },
): { body: JsonObject; cli: string } {
  const { model, version, isForced } = asked;
  const { body, options } = planOf(way, asked.draft);
  return {
    body: { challenger: version, kind: way, ...body, ...(isForced && { force: true }) },
    cli: `models rollout ${model} start --challenger ${version} --kind ${way}${options}${isForced ? ' --force' : ''}`,
  };
}

function planOf(way: Exclude<Way, 'all'>, draft: PlanDraft): { body: JsonObject; options: string } {
  if (way === 'shadow') return { body: {}, options: '' };
  if (way === 'ab') {
    const { percent, outcome, higherIsBetter, effect, samplesMin } = draft;
    const plan: JsonObject = {
      percent: Number(percent),
      outcome: {
        name: outcome.trim(),
        higherIsBetter,
        effect: Number(effect),
        samplesMin: Number(samplesMin),
      },
    };
    return { body: plan, options: ` --plan '${JSON.stringify(plan).replaceAll("'", `'\\''`)}'` };
  }
  const { steps, thenPromote } = draft;
  return {
    body: { steps: steps.map(stepOf), ...(thenPromote && { thenPromote }) },
    options: ` --steps ${steps.map(stepText).join(',')}${thenPromote ? ' --then-promote' : ''}`,
  };
}

function stepOf({ percent, wait, unit }: StepDraft): Json {
  const share = { percent: Number(percent) };
  return unit === 'open' ? share : { ...share, waitSeconds: Math.round(Number(wait) * SECONDS[unit]) };
}

function stepText({ percent, wait, unit }: StepDraft): string {
  if (unit === 'open') return String(Number(percent));
  // The terminal takes whole numbers of a unit.
  const amount = Number(wait);
  return Number.isInteger(amount)
    ? `${Number(percent)}:${amount}${LETTER[unit]}`
    : `${Number(percent)}:${Math.round(amount * SECONDS[unit])}s`;
}

/** How long a schedule lasts at the least, in seconds; undefined when a step waits for somebody. */
export function lastsSeconds({ steps }: PlanDraft): number | undefined {
  let seconds = 0;
  for (const { wait, unit } of steps) {
    if (unit === 'open') return undefined;
    seconds += Number(wait) * SECONDS[unit];
  }
  return Number.isFinite(seconds) ? seconds : undefined;
}

/** The shares of a schedule in a row: `5 → 25 → 50 %`. */
export function sharesText({ steps }: PlanDraft): string {
  return `${steps.map(({ percent }) => plainNumber(Number(percent))).join(' → ')} %`;
}
