import { canonicalize } from '../kernel/canonical.ts';
import type { Issue } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';

/** What a confidence leads to: no person, one, or two who do not see each other's answer. */
export type Route = 'auto' | 'review' | 'double';

/** A range of confidence, as its author writes it; the one without `atLeast` takes all that is left, and what has no confidence. */
interface BandDefinition {
  readonly atLeast?: number;
  readonly outcome: Route;
  /** Share of the automatic ones that people look at all the same, 0 to 1; that of `sampling` when left out. */
  readonly sample?: number;
}

/** n-of-m approval. */
interface ApprovalsDefinition {
  /** How many people are asked. */
  readonly of?: number;
  /** How many of them must approve. */
  readonly needed?: number;
  /** The values of the field `outcome` that approve; every other answer refuses. */
  readonly approve: readonly Json[];
  /** `enough`: refused when too few are left to approve it; `first`: by the first who refuses. */
  readonly refusal?: 'enough' | 'first';
  /** Two of two, and nobody who asked for it or prepared what is shown. */
  readonly fourEyes?: boolean;
}

/** The part of a queue that says how many people answer and how their answers become one. */
export interface ReviewDefinition {
  readonly outcome?: string;
  readonly approvals?: ApprovalsDefinition;
  readonly confidence?: readonly BandDefinition[];
  readonly sampling?: { readonly share: number; readonly seed?: string };
  readonly adjudicatorRoles?: readonly string[];
  readonly amendable?: boolean;
}

interface Approvals {
  readonly of: number;
  readonly needed: number;
  readonly approve: readonly Json[];
  readonly refusal: 'enough' | 'first';
  readonly fourEyes: boolean;
}

interface Band {
  readonly atLeast: number | undefined;
  readonly route: Route;
  readonly sample: number;
}

/** How many people answer, and how their answers become one. */
export interface ReviewRules {
  /** The field of the form that says the outcome: what answers are compared by. */
  readonly outcome: string | undefined;
  readonly approvals: Approvals | undefined;
  /** Highest first; empty when confidence decides nothing. */
  readonly bands: readonly Band[];
  /** Goes into the choice of samples: another seed, another sample. */
  readonly seed: string;
  readonly adjudicatorRoles: readonly string[] | undefined;
  /** Whether people may correct what is shown; answers to what was shown before then no longer count. */
  readonly amendable: boolean;
}

const share = { type: 'number', minimum: 0, maximum: 1 };
const roles = { type: 'array', minItems: 1, items: { type: 'string' }, uniqueItems: true };
const PEOPLE_MAX = 9;

/** JSON Schema of the members above, for the schema of a queue. */
export const reviewProperties = {
  outcome: { type: 'string', minLength: 1 },
  approvals: {
    type: 'object',
    additionalProperties: false,
    required: ['approve'],
    properties: {
      of: { type: 'integer', minimum: 2, maximum: PEOPLE_MAX },
      needed: { type: 'integer', minimum: 1, maximum: PEOPLE_MAX },
      approve: { type: 'array', minItems: 1, uniqueItems: true },
      refusal: { enum: ['enough', 'first'] },
      fourEyes: { type: 'boolean' },
    },
  },
  confidence: {
    type: 'array',
    minItems: 1,
    items: {
      type: 'object',
      additionalProperties: false,
      required: ['outcome'],
      properties: { atLeast: share, outcome: { enum: ['auto', 'review', 'double'] }, sample: share },
    },
  },
  sampling: {
    type: 'object',
    additionalProperties: false,
    required: ['share'],
    properties: { share, seed: { type: 'string' } },
  },
  adjudicatorRoles: roles,
  amendable: { type: 'boolean' },
};

/** @example compileRules({ outcome: 'decision', approvals: { of: 3, needed: 2, approve: ['approve'] } }).approvals.refusal // 'enough' */
export function compileRules(definition: ReviewDefinition): ReviewRules {
  const { approvals, confidence = [], sampling } = definition;
  return {
    outcome: definition.outcome,
    approvals: approvals && {
      of: approvals.of ?? 2,
      needed: approvals.needed ?? approvals.of ?? 2,
      approve: approvals.approve,
      refusal: approvals.refusal ?? 'enough',
      fourEyes: approvals.fourEyes ?? false,
    },
    bands: confidence.map(({ atLeast, outcome, sample }) => ({
      atLeast,
      route: outcome,
      sample: outcome === 'auto' ? (sample ?? sampling?.share ?? 0) : 0,
    })),
    seed: sampling?.seed ?? '',
    adjudicatorRoles: definition.adjudicatorRoles,
    amendable: definition.amendable ?? false,
  };
}

/** What an answer says, to compare it with others: the value of the field `outcome` as text; the whole answer without one. A text that could be read as another value is in quotes: "1" is not 1. */
export function outcomeOf(answer: Json | undefined, { outcome }: Pick<ReviewRules, 'outcome'>): string {
  if (outcome === undefined) return canonicalize(answer ?? null);
  const value = isObject(answer) ? answer[outcome] : undefined;
  return typeof value === 'string' && !isJson(value) ? value : canonicalize(value ?? null);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** @example approves({ decision: 'approve' }, rules) // true */
export function approves(answer: Json | undefined, { outcome, approvals }: ReviewRules): boolean {
  if (!approvals || outcome === undefined || !isObject(answer)) return false;
  const value = canonicalize(answer[outcome] ?? null);
  return approvals.approve.some((approved) => canonicalize(approved) === value);
}

/** What is wrong with the rules of a queue beyond their schema, each with its place. */
export function reviewIssues(
  definition: ReviewDefinition & { form: JsonObject; onDeadline?: Json },
): Issue[] {
  const issues: Issue[] = [];
  const wrong = (path: string, message: string) => void issues.push({ path, message });
  const { outcome, approvals, confidence, sampling, form } = definition;
  const field = outcome === undefined ? undefined : fieldOf(form, outcome);
  if (outcome !== undefined && field === undefined)
    wrong('/outcome', `the form has no field “${outcome}”: it is what answers are compared by`);
  const comparing = approvals ? 'approvals' : confidence ? 'confidence' : undefined;
  if (outcome === undefined && comparing)
    wrong(`/${comparing}`, 'name the field of the form that says the outcome, as `outcome: decision`');
  if (approvals && confidence)
    wrong(
      '/confidence',
      'a queue asks for approvals or goes by confidence, not both: an approval is always a person’s',
    );
  if (approvals) approvalIssues(approvals, definition, field, wrong);
  if (confidence) bandIssues(confidence, wrong);
  const automatic = confidence?.some((band) => band.outcome === 'auto') ?? false;
  if (sampling && !automatic)
    wrong('/sampling', 'nothing is answered automatically here: add a band with outcome auto');
  return issues;
}

function approvalIssues(
  approvals: ApprovalsDefinition,
  definition: ReviewDefinition & { onDeadline?: Json },
  field: Json | undefined,
  wrong: (path: string, message: string) => void,
): void {
  const { of, needed } = compileRules(definition).approvals!;
  if (needed > of) wrong('/approvals/needed', `${of} people cannot give ${needed} approvals`);
  if (approvals.fourEyes && (of !== 2 || needed !== 2))
    wrong('/approvals/fourEyes', 'four eyes are two of two: leave `of` and `needed` out');
  const values =
    isObject(field) && Array.isArray(field.enum) ? field.enum.map((value) => canonicalize(value)) : undefined;
  for (const [index, value] of approvals.approve.entries())
    if (values && !values.includes(canonicalize(value)))
      wrong(`/approvals/approve/${index}`, 'the form does not know this answer');
  if (values && approvals.approve.length >= values.length)
    wrong('/approvals/approve', 'every answer of the form approves: nobody could refuse');
  if ('onDeadline' in definition && approves(definition.onDeadline, compileRules(definition)))
    wrong('/onDeadline', 'it approves: no answer in time is a refusal');
}

function bandIssues(bands: readonly BandDefinition[], wrong: (path: string, message: string) => void): void {
  for (const [index, { atLeast, outcome, sample }] of bands.entries()) {
    const path = `/confidence/${index}`;
    const isLast = index === bands.length - 1;
    const above = bands[index - 1]?.atLeast;
    if (!isLast && atLeast === undefined)
      wrong(path, 'only the last band has no atLeast: it takes all that is left');
    if (isLast && atLeast !== undefined)
      wrong(path, 'the last band takes all that is left: leave atLeast out');
    if (isLast && outcome === 'auto')
      wrong(`${path}/outcome`, 'what has no confidence at all comes here: ask a person');
    if (above !== undefined && atLeast !== undefined && atLeast >= above)
      wrong(`${path}/atLeast`, `highest first: ${atLeast} is not below ${above}`);
    if (sample !== undefined && outcome !== 'auto')
      wrong(`${path}/sample`, 'people answer these anyway: only automatic ones are sampled');
  }
}

function fieldOf(form: JsonObject, name: string): Json | undefined {
  const { properties } = form;
  return isObject(properties) && Object.hasOwn(properties, name) ? properties[name] : undefined;
}
