import type { Json, JsonObject } from '../../kernel/json.ts';
import {
  Abandoned,
  checkData,
  located,
  raisedError,
  standardError,
  toFlowError,
} from '../catalog/flow-errors.ts';
import type {
  ExtensionNode,
  Flow,
  ForEachItem,
  ForNode,
  ListenNode,
  RunStart,
  StepNode,
  TimeSpan,
  TryNode,
} from '../language/flow.ts';
import type { Scope } from '../language/templates.ts';
import { argumentsOf } from './arguments.ts';
import { cleanUp } from './canceling.ts';
import { consume, type EachItem } from './consuming.ts';
import { withExtensions } from './extending.ts';
import { fork } from './forking.ts';
import { type Frame, type Leaving, scopeOfRun, timeDescriptor } from './frame.ts';
import type { Journal } from './journal.ts';
import { listen } from './listening.ts';
import { type Pace, StepCount } from './pace.ts';
import { catches, retryDelayMs, shouldRetry } from './retry.ts';
import { type StepListener, told } from './telling.ts';
import { spanMs, within } from './time-limit.ts';

/**
 * Runs a flow over a journal: no I/O, no clock, nothing of Node. With the same start and the same recorded results it takes the same
 * path, whatever the order in which branches go on.
 *
 * @throws FlowError when the run fails, Abandoned when it is given up
 */
export async function interpret(
  flow: Flow,
  start: RunStart,
  event: Json,
  journal: Journal,
  pace: Pace,
): Promise<Json> {
  return new Interpretation(flow, start, event, journal, pace).run();
}

class Interpretation {
  readonly #flow: Flow;
  readonly #start: RunStart;
  readonly #journal: Journal;
  readonly #base: Scope;
  readonly #listener: StepListener | undefined;
  readonly #steps: StepCount;

  constructor(flow: Flow, start: RunStart, event: Json, journal: Journal, pace: Pace) {
    this.#flow = flow;
    this.#start = start;
    this.#journal = journal;
    this.#listener = journal.listener;
    this.#base = scopeOfRun(flow, start, event);
    this.#steps = new StepCount(pace);
  }

  run(): Promise<Json> {
    const { timeoutMs: span } = this.#flow;
    const frame: Frame = {
      prefix: '',
      vars: this.#base,
      branch: this.#journal.root,
      state: { context: null },
      ended: false,
      next: 'continue',
    };
    return span === undefined ? this.#body(frame) : this.#limited(span, frame);
  }

  async #limited(span: TimeSpan, frame: Frame): Promise<Json> {
    const timeoutMs = spanMs(span, { ...this.#base, input: this.#start.input });
    return within(this.#journal, { key: '', mark: 'timeout', timeoutMs }, frame, (own) => this.#body(own));
  }

  async #body(frame: Frame): Promise<Json> {
    const flow = this.#flow;
    const raw = this.#start.input;
    checkData(flow.inputSchema, raw, 'input', '');
    const input = flow.inputFrom ? flow.inputFrom({ ...this.#base, input: raw }) : raw;
    let output = await this.#list(flow.steps, input, frame);
    if (flow.outputAs) output = flow.outputAs({ ...this.#base, input, output, context: frame.state.context });
    checkData(flow.outputSchema, output, 'output', '');
    return output;
  }

  async #list(steps: readonly StepNode[], input: Json, frame: Frame): Promise<Json> {
    let value = input;
    let visits: Map<StepNode, number> | undefined;
    for (let index = 0; index < steps.length; ) {
      const step = steps[index]!;
      let key = frame.prefix + step.name;
      if (visits) {
        const visit = visits.get(step) ?? 0;
        if (visit > 0) key += `#${visit}`;
        visits.set(step, visit + 1);
      }
      try {
        const pause = this.#steps.next();
        if (pause) await pause;
        const result = this.#step(step, key, value, frame);
        value = result instanceof Promise ? await result : result;
      } catch (error) {
        // Anything that a part threw in place of an error of flows is told with the step's place, too.
        throw error instanceof Abandoned ? error : located(toFlowError(error, key), key, step.pointer);
      }
      const { next } = frame;
      if (frame.ended || next === 'end') {
        frame.ended = true;
        return value;
      }
      if (next === 'exit') return value;
      if (next === 'continue') index++;
      else {
        // Only a jump can come back to a step, so that keys need no visit count before the first one.
        visits ??= new Map(steps.slice(0, index + 1).map((passed) => [passed, 1]));
        index = next.index;
      }
    }
    return value;
  }

  #step(step: StepNode, key: string, raw: Json, frame: Frame): Json | Promise<Json> {
    // A step that is skipped takes nothing with it: neither its `then` nor its input's and output's expressions count, and the next in order follows
    // (dsl-reference.md, "Task": `if` is evaluated against the raw input before any other expression).
    frame.next = 'continue';
    try {
      if (step.when && !step.when(this.#scope(step, key, raw, frame))) return raw;
      frame.next = step.next;
      const listener = this.#listener;
      if (!listener) return this.#begin(step, key, raw, frame);
      return told(listener, step, key, frame.branch, () => this.#begin(step, key, raw, frame));
    } catch (error) {
      throw error instanceof Abandoned ? error : toFlowError(error, key);
    }
  }

  #begin(step: StepNode, key: string, raw: Json, frame: Frame): Json | Promise<Json> {
    checkData(step.inputSchema, raw, 'input', key);
    if (step.extensions) return this.#extended(step, step.extensions, key, raw, frame);
    return this.#enter(step, key, raw, frame);
  }

  /** A step that is not skipped, from its input's transformation to its output. */
  #enter(step: StepNode, key: string, given: Json, frame: Frame): Json | Promise<Json> {
    // The arguments of a call are what its operator sees and edits; of other steps it is what they are given.
    const raw = step.type === 'call' || step.type === 'run' ? given : (this.#journal.edited(key) ?? given);
    try {
      const input = step.inputFrom ? step.inputFrom(this.#scope(step, key, raw, frame)) : raw;
      const scope = this.#scope(step, key, input, frame, raw);
      const { timeoutMs: span } = step;
      const limit = span !== undefined && { key, mark: 'timeout' as const, timeoutMs: spanMs(span, scope) };
      const output = limit
        ? within(this.#journal, limit, frame, async (own) => this.#perform(step, key, input, scope, own))
        : this.#perform(step, key, input, scope, frame);
      if (output instanceof Promise)
        return output.then((value) => this.#leave(step, key, value, scope, frame));
      return this.#leave(step, key, output, scope, frame);
    } catch (error) {
      throw error instanceof Abandoned ? error : toFlowError(error, key);
    }
  }

  #extended(
    step: StepNode,
    extensions: readonly ExtensionNode[],
    key: string,
    raw: Json,
    frame: Frame,
  ): Promise<Json> {
    const scope = this.#scope(step, key, raw, frame);
    const extended = { ...step.definition, ...(scope.task as JsonObject) };
    const vars = { ...scope, task: extended };
    const { branch, state } = frame;
    return withExtensions(
      extensions,
      key,
      raw,
      vars,
      () => this.#enter(step, key, raw, frame),
      async (steps, prefix, input) => {
        const inner: Frame = { prefix, vars, branch, state, extended, ended: false, next: 'continue' };
        const output = await this.#list(steps, input, inner);
        if (inner.ended) frame.ended = true;
        return { output, exited: inner.next === 'exit' || inner.ended };
      },
    );
  }

  #scope(step: StepNode, key: string, input: Json, frame: Frame, raw = input): Scope {
    const { name, pointer: reference, definition } = step;
    const task: JsonObject = frame.extended ?? { name, reference, definition, input: raw };
    if (this.#flow.timesSteps && !frame.extended)
      task.startedAt = timeDescriptor(this.#journal.now(`${key}^begun`));
    return { ...frame.vars, input, context: frame.state.context, task };
  }

  /** `output.as`, `output.schema`, `export.as`: what leaves a step. */
  #leave(step: StepNode, key: string, raw: Json, scope: Scope, frame: Frame): Json {
    if (!step.outputAs && !step.exportAs && !step.outputSchema && !step.exportSchema) return raw;
    try {
      const task = { ...(scope.task as JsonObject), output: raw };
      return this.#shape(step, key, raw, { ...scope, task }, frame);
    } catch (error) {
      throw toFlowError(error, key);
    }
  }

  #shape(
    { outputAs, outputSchema, exportAs, exportSchema }: Leaving,
    key: string,
    raw: Json,
    scope: Scope,
    frame: Frame,
  ): Json {
    const now = { ...scope, context: frame.state.context };
    const output = outputAs ? outputAs({ ...now, output: raw }) : raw;
    checkData(outputSchema, output, 'output', key);
    if (exportAs) frame.state.context = exportAs({ ...now, output });
    checkData(exportSchema, frame.state.context, 'context', key);
    if (exportAs) this.#journal.exported(frame.state.context);
    return output;
  }

  #perform(step: StepNode, key: string, input: Json, scope: Scope, frame: Frame): Json | Promise<Json> {
    const journal = this.#journal;
    const { branch } = frame;
    switch (step.type) {
      case 'call': {
        if (step.foreach)
          return consume(step, key, scope, journal, branch, this.#each(step.foreach, key, scope, frame));
        const given = argumentsOf(step, scope, journal.edited(key));
        checkData(step.validate, given, 'with', key);
        const output = journal.step(key, step.primitive, given, branch);
        return step.passes ? output.then(() => input) : output;
      }
      case 'set':
        journal.trace(key, branch);
        return step.value(scope);
      case 'switch':
        return this.#switch(step.cases, key, input, scope, frame);
      case 'do':
        return this.#nested(step.steps, `${key}/`, step.with?.(scope) ?? input, scope, frame);
      case 'emit':
        return journal.emit(key, step.event(scope) as JsonObject, branch);
      case 'for':
        return this.#for(step, key, input, scope, frame);
      case 'fork':
        return fork(step, key, journal, scope, frame, (branchStep, inner) =>
          this.#list([branchStep], input, inner),
        );
      case 'listen':
        return this.#listen(step, key, scope, frame);
      case 'raise':
        throw raisedError(step.error(scope), key);
      case 'run':
        return journal
          .child(key, step.workflow, journal.edited(key) ?? step.input(scope), step.wait, branch)
          .then((output) => (step.wait ? output : input));
      case 'try':
        return this.#try(step, key, input, scope, frame);
      case 'wait':
        return journal
          .timer(key, journal.now(`${key}^from`) + spanMs(step.durationMs, scope), branch)
          .then(() => input);
    }
  }

  #switch(
    cases: (StepNode & { type: 'switch' })['cases'],
    key: string,
    input: Json,
    scope: Scope,
    frame: Frame,
  ): Json {
    // The one without a condition is for when no other holds, wherever it stands (dsl-reference.md, "Switch Case").
    const chosen = cases.find(({ when }) => when?.(scope)) ?? cases.find(({ when }) => !when);
    this.#journal.trace(key, frame.branch, chosen?.name ?? '');
    if (chosen) frame.next = chosen.next;
    return input;
  }

  /** A list inside a step: its variables are the step's, its `end` ends the lists around it. */
  async #nested(
    steps: readonly StepNode[],
    prefix: string,
    input: Json,
    scope: Scope,
    frame: Frame,
  ): Promise<Json> {
    const { branch, state, extended } = frame;
    const inner: Frame = { prefix, vars: scope, branch, state, extended, ended: false, next: 'continue' };
    const output = await this.#list(steps, input, inner);
    if (inner.ended) frame.ended = true;
    return output;
  }

  async #for(step: ForNode, key: string, input: Json, scope: Scope, frame: Frame): Promise<Json> {
    const items = step.in(scope);
    if (!Array.isArray(items)) throw standardError('validation', 400, 'for.in is not a list.', key);
    let value = input;
    for (const [index, item] of items.entries()) {
      const vars = { ...scope, [step.each]: item, [step.at]: index, input: value };
      if (step.while && !step.while({ ...vars, context: frame.state.context })) break;
      value = await this.#nested(step.steps, `${key}[${index}]/`, value, vars, frame);
      if (frame.ended) break;
    }
    return value;
  }

  #listen(step: ListenNode, key: string, scope: Scope, frame: Frame): Promise<Json> {
    const { foreach } = step;
    const each = foreach && this.#each(foreach, key, scope, frame);
    return listen(step, key, scope, this.#journal, frame.branch, each);
  }

  /** An item of a subscription (dsl-reference.md, "Subscription Iterator"). */
  #each(foreach: ForEachItem, key: string, scope: Scope, frame: Frame): EachItem {
    return async (item, index) => {
      const vars = { ...scope, [foreach.item]: item, [foreach.at]: index, input: item };
      const raw = await this.#nested(foreach.steps, `${key}[${index}]/`, item, vars, frame);
      const output = this.#shape(foreach, key, raw, vars, frame);
      return { output, ended: frame.ended, context: frame.state.context };
    };
  }

  async #try(step: TryNode & StepNode, key: string, input: Json, scope: Scope, frame: Frame): Promise<Json> {
    const { retry } = step;
    const startedMs = retry?.durationMs === undefined ? 0 : this.#journal.now(`${key}^started`);
    for (let attempt = 0; ; attempt++) {
      const at = attempt === 0 ? key : `${key}^${attempt}`;
      try {
        const body = (own: Frame) => this.#nested(step.steps, `${at}/`, input, scope, own);
        const timeoutMs = retry?.attemptMs;
        return await (timeoutMs === undefined
          ? body(frame)
          : within(this.#journal, { key: at, mark: 'limit', timeoutMs }, frame, body));
      } catch (error) {
        if (error instanceof Abandoned) {
          const vars = { ...scope, context: frame.state.context };
          await cleanUp(step, key, vars, this.#journal, (inner, branch) =>
            this.#nested(step.catchSteps, `${key}^catch/`, input, inner, { ...frame, branch }),
          );
          throw error;
        }
        const caught = toFlowError(error, at);
        const vars = { ...scope, context: frame.state.context, [step.as]: caught.body };
        if (!catches(step, caught, vars)) throw caught;
        if (retry && shouldRetry(retry, attempt, vars)) {
          const nowMs = this.#journal.now(`${at}^failed`);
          const delayMs = retryDelayMs(retry, attempt, () => this.#journal.random(`${at}^jitter`));
          if (retry.durationMs === undefined || nowMs + delayMs <= startedMs + retry.durationMs) {
            await this.#journal.timer(`${at}^delay`, nowMs + delayMs, frame.branch);
            this.#listener?.retried(step, at);
            continue;
          }
        }
        // Without a handler, errors that were only to be retried end the step (dsl-reference.md, "Catch").
        if (step.catchSteps.length === 0 && retry) throw caught;
        if (step.catchNext !== undefined) frame.next = step.catchNext;
        return this.#nested(step.catchSteps, `${key}^catch/`, input, vars, frame);
      }
    }
  }
}
