import { stringify } from 'yaml';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';

/** A run as `GET /api/v1/runs/{id}` tells it, as far as a test is made of it. */
export interface RecordedRun {
  id: string;
  workflow: string;
  status: string;
  startedAt: string;
  input: Json;
  event?: JsonObject;
  output?: Json;
  error?: JsonObject;
  steps: {
    key: string;
    id: string;
    primitive?: string;
    status: string;
    startedAt: string;
    endedAt?: string;
    output?: Json;
    error?: JsonObject;
  }[];
  /** What it listened for, in the order in which it was taken. */
  events?: { at: string; event: JsonObject }[];
}

type RecordedStep = RecordedRun['steps'][number];

/** What came of a call that was given up: the loser of a race, a step that a time limit cut off. */
const GIVEN_UP = 'workflow.outcome_unknown';

/** Members whose values are secret or personal whatever they look like. */
const TELLING =
  /pass(word|phrase)|secret|token|api_?key|authorization|credential|cookie|e_?mail|phone|mobile|address|street|postcode|zip|iban|card_?number|birth|ssn|passport|(first|last|full|given|family|customer|user)_?name|^name$/i;
/** Values that look personal or secret whatever they are called. */
const LOOKS: readonly [what: string, pattern: RegExp][] = [
  ['email', /[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g],
  [
    'secret',
    /\b(?:eyJ[\w-]{10,}\.[\w-]+\.[\w-]+|(?:Bearer|Basic)\s+[\w.+/=-]{8,}|sk-[\w-]{16,}|AKIA[A-Z0-9]{16})/g,
  ],
  ['iban', /\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b/g],
  ['phone', /(?<![\w.-])\+\d[\d ()-]{7,}\d\b/g],
];

/** Puts something else in the place of what looks personal or secret: the same for the same value, so that what was equal stays equal. */
class Replacer {
  readonly #known = new Map<string, string>();

  get count(): number {
    return this.#known.size;
  }

  value(value: Json, name = ''): Json {
    if (Array.isArray(value)) return value.map((item) => this.value(item, name));
    if (isObject(value)) {
      return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, this.value(member, key)]));
    }
    if (typeof value === 'number')
      return TELLING.test(name) ? Number(this.#of('number', String(value))) : value;
    if (typeof value !== 'string') return value;
    if (value !== '' && TELLING.test(name)) return this.#of('replaced', value);
    return LOOKS.reduce(
      (text, [what, pattern]) => text.replace(pattern, (found) => this.#of(what, found)),
      value,
    );
  }

  #of(what: string, found: string): string {
    const known = this.#known.get(found);
    if (known !== undefined) return known;
    const number = this.#known.size + 1;
    const shapes: { [of: string]: string } = { email: `person${number}@example.com`, number: String(number) };
    const other = shapes[what] ?? `${what}-${number}`;
    this.#known.set(found, other);
    return other;
  }
}

/**
 * A test made of a run: what its calls answered as mocks, what came of it as what is expected. Secrets are in no journal; what looks personal is replaced.
 *
 * @returns the YAML of `tests/*.yaml`, and how many values were replaced
 */
export function recordedTest(run: RecordedRun): { text: string; replaced: number } {
  const replacer = new Replacer();
  const since = (at: string) => `PT${(Date.parse(at) - Date.parse(run.startedAt)) / 1000}S`;
  const isParallel = overlaps(run.steps);
  const mocks: { [step: string]: Json[] } = {};
  for (const step of run.steps) {
    const { id, primitive, endedAt } = step;
    if (primitive === undefined) continue;
    const answer = answerOf(step);
    // In which order the branches went on decides what becomes of the run.
    if (isParallel && endedAt !== undefined && answer.never === undefined) answer.ended = since(endedAt);
    mocks[id] = [...(mocks[id] ?? []), answer];
  }
  const events = (run.events ?? []).map(({ at, event }) => ({ ...event, at: since(at) }));
  const { output, error, event, input } = run;
  const test: JsonObject = {
    name: `as in ${run.id}`,
    workflow: run.workflow,
    startsAt: run.startedAt,
    ...(event ? { event } : { input }),
    mocks,
    ...(events.length > 0 ? { events } : {}),
    ...(error ? { fails: membersOf(error) } : { output: output ?? null }),
  };
  // Which of two steps at once began first is not the flow's to say: their order is no part of what is expected.
  const steps = isParallel ? {} : { steps: run.steps.map(({ key }) => key) };
  const { name, workflow, ...data } = test;
  const text = stringify([{ name, workflow, ...(replacer.value(data) as JsonObject), ...steps }], {
    lineWidth: 120,
  });
  return { text, replaced: replacer.count };
}

/** Whether calls were under way at the same time. */
function overlaps(steps: readonly RecordedStep[]): boolean {
  const calls = steps
    .filter(({ primitive }) => primitive !== undefined)
    .toSorted((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt));
  return calls.some(({ startedAt }, index) => {
    const before = calls[index - 1];
    return before && (before.endedAt === undefined || Date.parse(startedAt) < Date.parse(before.endedAt));
  });
}

/** One that was given up gives no answer in the test either. */
function answerOf({ status, error, output }: RecordedStep): JsonObject {
  if (status !== 'completed' && (status !== 'failed' || error?.code === GIVEN_UP)) return { never: 'PT0S' };
  return error ? { error: membersOf(error) } : { output: output ?? null };
}

function membersOf({ type, status, title, detail }: JsonObject): JsonObject {
  const members = { type, status, title, detail };
  return Object.fromEntries(
    Object.entries(members).filter(([, member]) => member !== undefined),
  ) as JsonObject;
}
