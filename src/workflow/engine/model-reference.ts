import {
  acted,
  attemptOf,
  CONTEXT_KEYS,
  type Condition,
  type ContextKey,
  eventsOf,
  type ModelStep,
  type ModelTry,
  type Sum,
} from './model-flows.ts';
import type { Entry } from './stored-run.ts';

/** What a run may have done outside, by the key of its step. */
export interface Deed {
  readonly key: string;
  readonly value: number;
  /** Seconds of business time after the start of the run. */
  readonly atS: number;
  /** In a branch that lost or was given up: it may have come to it, or not. */
  readonly optional: boolean;
}

export interface Verdict {
  output?: number;
  error?: { status: number; type: string };
  effects: Deed[];
  emitted: Deed[];
}

/** The engine did what no order of events allows. */
class Mismatch extends Error {}

/** In a branch that was given up: what came next depends on a result that nobody recorded. */
class Unknown extends Error {}

class Failure extends Error {
  readonly error: { status: number; type: string };

  constructor(status: number, type: string) {
    super(type);
    this.error = { status, type };
  }
}

/** One line of execution: branches of a fork have one each. */
interface Line {
  context: { readonly [key in ContextKey]: number };
  atS: number;
  ended: boolean;
}

type Variables = { readonly [name: string]: number };

interface Outcome {
  value?: number;
  failure?: Failure;
  unknown?: boolean;
  line: Line;
}

const copied = (line: Line): Line => ({ context: line.context, atS: line.atS, ended: false });

/**
 * What a flow means, written down as plainly as can be: no journal, no barriers, no concurrency. What chance decides (answers of steps that are not
 * the same twice, who came first among equals) is taken from the journal of the run that is judged; everything else is computed, its time too.
 *
 * @throws Mismatch when the journal says what cannot be
 */
export function judge(
  steps: readonly ModelStep[],
  input: number,
  journal: ReadonlyMap<string, Entry>,
): Verdict {
  const reference = new Reference(journal);
  const line: Line = { context: { a: 0, b: 0, rounds: 0 }, atS: 0, ended: false };
  const { value, failure } = reference.attempt(line, () => reference.list(steps, '', input, {}, line));
  const { effects, emitted } = reference;
  return failure ? { error: failure.error, effects, emitted } : { output: value!, effects, emitted };
}

class Reference {
  effects: Deed[] = [];
  emitted: Deed[] = [];
  readonly #journal: ReadonlyMap<string, Entry>;
  #optional = false;

  constructor(journal: ReadonlyMap<string, Entry>) {
    this.#journal = journal;
  }

  list(steps: readonly ModelStep[], prefix: string, input: number, vars: Variables, line: Line): number {
    const visits = new Map<string, number>();
    let value = input;
    for (let index = 0; index < steps.length; ) {
      const step = steps[index]!;
      const visit = visits.get(step.name) ?? 0;
      visits.set(step.name, visit + 1);
      const key = prefix + step.name + (visit > 0 ? `#${visit}` : '');
      const left = this.#step(step, key, value, vars, line);
      value = left.value;
      if (line.ended || left.next === 'end') {
        line.ended = true;
        return value;
      }
      if (left.next === 'exit') return value;
      index = left.next === 'continue' ? index + 1 : steps.findIndex(({ name }) => name === left.next);
      if (index < 0) return value;
    }
    return value;
  }

  /** Runs something whose failure, or ignorance, is looked at. */
  attempt(line: Line, body: () => number): Outcome {
    try {
      return { value: body(), line };
    } catch (error) {
      if (error instanceof Failure) return { failure: error, line };
      if (error instanceof Unknown) return { unknown: true, line };
      throw error;
    }
  }

  #step(step: ModelStep, key: string, input: number, vars: Variables, line: Line) {
    if (step.if && !holds(step.if, input, vars, line)) return { value: input, next: 'continue' };
    const direction = { next: step.kind === 'try' ? 'continue' : (step.next ?? 'continue') };
    const body = (on: Line) => this.#perform(step, key, input, vars, on, direction);
    const raw =
      step.timeoutS === undefined
        ? body(line)
        : this.#within(key, `${key}^timeout`, step.timeoutS, line, body);
    const value = raw + (step.add ?? 0);
    if (step.export) {
      const { to, value: exported } = step.export;
      line.context = { ...line.context, [to]: computed(exported, input, { ...vars, output: value }, line) };
    }
    return { value, next: direction.next };
  }

  #perform(
    step: ModelStep,
    key: string,
    input: number,
    vars: Variables,
    line: Line,
    direction: { next: string },
  ): number {
    switch (step.kind) {
      case 'set':
        return computed(step.value, input, vars, line);
      case 'call':
        return this.#call(step, key, computed(step.value, input, vars, line), line);
      case 'do':
        return this.list(step.steps, `${key}/`, input, vars, line);
      case 'for':
        return this.#for(step, key, input, vars, line);
      case 'fork':
        return step.compete
          ? this.#compete(step.branches, key, input, vars, line)
          : this.#all(step.branches, key, input, vars, line);
      case 'try':
        return this.#try(step, key, input, vars, line, direction);
      case 'switch': {
        const chosen =
          step.cases.find(({ when }) => when && holds(when, input, vars, line)) ??
          step.cases.find(({ when }) => !when);
        if (chosen) direction.next = chosen.next;
        return input;
      }
      case 'raise':
        throw new Failure(step.status, `https://example.com/errors/e${step.status}`);
      case 'wait':
        line.atS += step.seconds;
        return input;
      case 'listen':
        // Its events come at once.
        return eventsOf(step.id, step.all).reduce((sum, { data }, index) => sum + data * (index + 1), 0);
      case 'emit': {
        const value = computed(step.value, input, vars, line);
        this.emitted.push({ key, value, atS: line.atS, optional: this.#optional });
        return value;
      }
    }
  }

  #call(step: ModelStep & { kind: 'call' }, key: string, value: number, line: Line): number {
    if (step.primitive === 'act') {
      this.effects.push({ key, value, atS: line.atS, optional: this.#optional });
      if (attemptOf(key) < step.fails) throw new Failure(503, 'https://example.com/errors/flaky');
      return acted(value, step.tag);
    }
    const found = this.#journal.get(key)?.o;
    if (typeof found === 'number') return found;
    if (this.#optional) throw new Unknown();
    throw new Mismatch(`${key} has no recorded result`);
  }

  #for(step: ModelStep & { kind: 'for' }, key: string, input: number, outer: Variables, line: Line): number {
    let value = input;
    for (const [index, item] of step.items.entries()) {
      const vars = { ...outer, item, index };
      if (step.while && !holds(step.while, value, vars, line)) break;
      value = this.list(step.steps, `${key}[${index}]/`, value, vars, line);
      if (line.ended) break;
    }
    return value;
  }

  #try(
    step: ModelTry,
    key: string,
    input: number,
    vars: Variables,
    line: Line,
    direction: { next: string },
  ): number {
    const { retry, handler } = step;
    for (let attempt = 0; ; attempt++) {
      const at = attempt === 0 ? key : `${key}^${attempt}`;
      const body = (on: Line) => this.list(step.steps, `${at}/`, input, vars, on);
      const { value, failure, unknown } = this.attempt(line, () =>
        retry?.attemptS === undefined
          ? body(line)
          : this.#within(at, `${at}^limit`, retry.attemptS, line, body),
      );
      if (unknown) throw new Unknown();
      if (!failure) return value!;
      const { status } = failure.error;
      const caught = { ...vars, 'error.status': status };
      if (step.status !== undefined && step.status !== status) throw failure;
      if (step.when && !holds(step.when, input, caught, line)) throw failure;
      if (retry && attempt < retry.count) {
        line.atS += retry.delayS;
        continue;
      }
      if (handler.length === 0 && retry) throw failure;
      if (step.next !== undefined) direction.next = step.next;
      return this.list(handler, `${key}^catch/`, input, caught, line);
    }
  }

  // ---- who comes first ----

  /** Runs something that counts only as far as it may have come. */
  #maybe(optional: boolean, line: Line, body: (on: Line) => number): Outcome {
    const before = this.#optional;
    this.#optional ||= optional;
    try {
      const own = copied(line);
      return this.attempt(own, () => body(own));
    } finally {
      this.#optional = before;
    }
  }

  /** Deeds since then of branches that were given up at a time: those after it cannot have been. */
  #forgetAfter(atS: number, effects: number, emitted: number): void {
    const was = (since: number) => (deed: Deed, index: number) =>
      index < since || !deed.optional || deed.atS <= atS;
    this.effects = this.effects.filter(was(effects));
    this.emitted = this.emitted.filter(was(emitted));
  }

  #choice(key: string): number | undefined {
    return this.#journal.get(key)?.n;
  }

  #within(key: string, mark: string, timeoutS: number, line: Line, body: (on: Line) => number): number {
    const dueS = line.atS + timeoutS;
    const [effects, emitted] = [this.effects.length, this.emitted.length];
    const choice = this.#choice(mark);
    if (choice === undefined && !this.#optional) throw new Mismatch(`${mark} is not recorded`);
    const done = this.#maybe(choice !== 0, line, body);
    if (choice === undefined && done.unknown) throw new Unknown();
    const endS = done.unknown ? Number.POSITIVE_INFINITY : done.line.atS;
    const inTime = choice === undefined ? endS <= dueS : choice === 0;
    if (inTime ? endS > dueS : endS < dueS) {
      throw new Mismatch(`${key} took ${endS - line.atS} s of ${timeoutS} s, and the journal says ${choice}`);
    }
    if (inTime) {
      line.context = done.line.context;
      return this.#adopt(done, line);
    }
    this.#forgetAfter(dueS, effects, emitted);
    line.atS = dueS;
    throw new Failure(408, 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout');
  }

  /** Goes on where a branch has ended. */
  #adopt({ value, failure, unknown, line: from }: Outcome, line: Line): number {
    if (unknown) throw new Unknown();
    line.atS = from.atS;
    if (failure) throw failure;
    line.context = from.context;
    line.ended ||= from.ended;
    return value!;
  }

  #compete(branches: readonly ModelStep[], key: string, input: number, vars: Variables, line: Line): number {
    const [effects, emitted] = [this.effects.length, this.emitted.length];
    const choice = this.#choice(key);
    if (choice === undefined && !this.#optional) throw new Mismatch(`${key} has no recorded winner`);
    const done = branches.map((step, index) =>
      this.#maybe(index !== choice, line, (on) => this.list([step], `${key}/`, input, vars, on)),
    );
    if (choice === undefined && done.some(({ unknown }) => unknown)) throw new Unknown();
    const ends = done.map(({ unknown, line: of }) => (unknown ? Number.POSITIVE_INFINITY : of.atS));
    const first = Math.min(...ends);
    const winner = choice ?? ends.indexOf(first);
    if (ends[winner]! > first)
      throw new Mismatch(`${key}: branch ${winner} won at ${ends[winner]}, ends are ${ends}`);
    this.#forgetAfter(first, effects, emitted);
    return this.#adopt(done[winner]!, line);
  }

  #all(branches: readonly ModelStep[], key: string, input: number, vars: Variables, line: Line): number {
    const [effects, emitted] = [this.effects.length, this.emitted.length];
    const choice = this.#choice(key);
    const done = branches.map((step, index) =>
      this.#maybe(choice !== undefined && index !== choice, line, (on) =>
        this.list([step], `${key}/`, input, vars, on),
      ),
    );
    if (choice === undefined && done.some(({ unknown }) => unknown)) throw new Unknown();
    const failedAt = done.map(({ failure, line: of }) => (failure ? of.atS : Number.POSITIVE_INFINITY));
    const first = Math.min(...failedAt);
    if (Number.isFinite(first)) {
      if (choice === undefined && !this.#optional)
        throw new Mismatch(`${key}: a branch fails, none is recorded`);
      const failed = choice ?? failedAt.indexOf(first);
      if (failedAt[failed]! > first)
        throw new Mismatch(`${key}: branch ${failed} was not the first to fail: ${failedAt}`);
      this.#forgetAfter(first, effects, emitted);
      return this.#adopt(done[failed]!, line);
    }
    if (choice !== undefined) throw new Mismatch(`${key}: no branch fails, ${choice} is recorded as failed`);
    const before = line.context;
    for (const { line: of } of done) {
      const changed = CONTEXT_KEYS.filter((name) => of.context[name] !== before[name]);
      line.context = {
        ...line.context,
        ...Object.fromEntries(changed.map((name) => [name, of.context[name]])),
      };
      line.atS = Math.max(line.atS, of.atS);
      line.ended ||= of.ended;
    }
    return done.reduce((total, { value }, index) => total + value! * (index + 1), 0);
  }
}

function computed({ of, times, plus }: Sum, input: number, vars: Variables, { context }: Line): number {
  const value = of.startsWith('context.')
    ? context[of.slice('context.'.length) as ContextKey]
    : of === 'input'
      ? input
      : vars[of]!;
  return value * times + plus;
}

function holds({ value, above }: Condition, input: number, vars: Variables, line: Line): boolean {
  return computed(value, input, vars, line) > above;
}
