import type { Clock } from '../../kernel/clock.ts';
import type { ErrorCode } from '../../kernel/error-codes.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { Json } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import { Abandoned, FlowError } from '../catalog/flow-errors.ts';
import type { Behalf, Catalog, Degraded, Pin } from '../catalog/primitive.ts';
import { interpret } from '../interpreter/interpreter.ts';
import { compileFlow } from '../language/compile.ts';
import type { Flow } from '../language/flow.ts';
import { runJq } from '../language/jq-evaluator.ts';
import type { WorkflowDefinition } from './flows.ts';
import { InlineJournal, type InlineSurroundings } from './inline-journal.ts';
import { durableSteps } from './inline-steps.ts';
import { Turns } from './turns.ts';

export interface InlineDependencies {
  /** All primitives; those that a flow may call in memory as they are called there, without writes. */
  readonly catalog: Catalog;
  /** Names of the program's own. */
  readonly own: ReadonlySet<string>;
  readonly clock: Clock;
  readonly limits: Pick<Limits, 'ensembleDepthMax' | 'ensembleStepsMax' | 'ensembleWaitMs' | 'runTurnMs'>;
}

/** The inference that a flow answers, as whoever asks it tells it. */
export interface InlineCall {
  readonly caller?: Behalf['caller'];
  readonly stickyKey?: string | undefined;
  readonly priority?: number | undefined;
  readonly isCopy?: boolean | undefined;
  readonly step?: { readonly runId: string; readonly stepKey: string } | undefined;
  readonly depth?: number | undefined;
}

interface InlineResult {
  readonly output: Json;
  /** Of the models that were asked, all together. */
  readonly computeUs: number;
  readonly costMicroUsd: number;
  readonly degraded: Degraded | undefined;
  /** What was asked, and what that has asked in turn: `risk/3`, `decision:limits/2`. */
  readonly parts: readonly string[];
}

/** Errors inside that are not the fault of the flow or of the values: the caller is told of them by the same code. */
const PASSED = new Set<string>([
  'serving.timeout',
  'serving.canceled',
  'serving.unavailable',
  'serving.replica_lost',
  'serving.upstream_failed',
  'serving.upstream_limited',
  'serving.memory_exceeded',
  'serving.circuit_open',
  'serving.rate_limited',
  'serving.depth_exceeded',
  'request.overloaded',
  'budgets.exceeded',
]);

/**
 * A flow that answers inferences in memory: no run, no journal, no lease.
 *
 * @example new InlineFlow(definition, { catalog, own, clock, limits }).begin({ x: [[1]] }, {}, deadlineAtMs).result
 */
export class InlineFlow {
  readonly flow: Flow;
  readonly #surroundings: InlineSurroundings;
  readonly #depthMax: number;
  readonly #pace: { stepsMax: number; limitName: string; turnMs: number };

  /** @throws AiosError `models.flow_needs_run` naming each step that needs a durable run, and what compiling throws */
  constructor(
    { body }: Pick<WorkflowDefinition, 'body'>,
    { catalog, own, clock, limits }: InlineDependencies,
  ) {
    this.flow = compileFlow(body, catalog, runJq);
    const issues = durableSteps(this.flow, own, limits.ensembleWaitMs);
    if (issues.length > 0) throw new AiosError('models.flow_needs_run', { issues });
    this.#depthMax = limits.ensembleDepthMax;
    this.#surroundings = { workflow: this.flow.name, nowMs: () => clock.now() };
    const { ensembleStepsMax, runTurnMs } = limits;
    this.#pace = { stepsMax: ensembleStepsMax, limitName: 'ensembleStepsMax', turnMs: runTurnMs };
  }

  /** `result` rejects with an AiosError: what failed inside by its own code where the caller can do something about it, else `serving.model_failed`. */
  begin(
    input: Json,
    call: InlineCall,
    deadlineAtMs: number,
  ): { result: Promise<InlineResult>; abandon(): void } {
    const asked = new Inference(call, deadlineAtMs);
    const journal = new InlineJournal(this.#surroundings, asked);
    return { result: this.#run(input, asked, journal), abandon: () => journal.root.abandon() };
  }

  async #run(input: Json, asked: Inference, journal: InlineJournal): Promise<InlineResult> {
    if (asked.depth > this.#depthMax) {
      throw new AiosError('serving.depth_exceeded', {
        detail: `${this.#depthMax} ensembles have asked each other (ensembleDepthMax).`,
        extensions: { limitName: 'ensembleDepthMax', limit: this.#depthMax },
      });
    }
    try {
      const start = { runId: '', startedAtMs: this.#surroundings.nowMs(), input };
      const output = await interpret(this.flow, start, null, journal, new Turns(this.#pace));
      const { computeUs, costMicroUsd, degraded, inner } = asked;
      const own = [...journal.pins.values()].map(partOf);
      const parts = inner ? [...new Set([...own, ...inner])] : own;
      return { output, computeUs, costMicroUsd, degraded, parts };
    } catch (error) {
      throw asInference(error);
    }
  }
}

/** One inference: what those that are asked in turn have of it, and what their answers come to. */
class Inference implements Behalf {
  readonly caller: Behalf['caller'];
  readonly depth: number;
  computeUs = 0;
  costMicroUsd = 0;
  degraded: Degraded | undefined;
  /** What ensembles that were asked have asked in turn. */
  inner: string[] | undefined;
  readonly #call: InlineCall;
  readonly #deadlineAtMs: number;

  constructor(call: InlineCall, deadlineAtMs: number) {
    this.caller = call.caller;
    this.depth = (call.depth ?? 0) + 1;
    this.#call = call;
    this.#deadlineAtMs = deadlineAtMs;
  }

  call(stepKey: string): ReturnType<Behalf['call']> {
    const { priority, stickyKey, isCopy, step } = this.#call;
    return {
      deadlineMs: this.#deadlineAtMs - performance.now(),
      depth: this.depth,
      caller: this.caller,
      priority,
      stickyKey,
      isCopy,
      step: step && { runId: step.runId, stepKey: `${step.stepKey}/${stepKey}` },
    };
  }

  answered({ computeUs, costMicroUsd, degraded, parameters }: Parameters<Behalf['answered']>[0]): void {
    this.computeUs += computeUs;
    this.costMicroUsd += costMicroUsd;
    this.degraded ??= degraded;
    const parts = parameters?.parts;
    if (typeof parts === 'string' && parts !== '') this.inner = [...(this.inner ?? []), ...parts.split(',')];
  }
}

function partOf({ kind, name, version }: Pin): string {
  return kind === 'model' ? `${name}/${version}` : `${kind}:${name}/${version}`;
}

function asInference(error: unknown): AiosError {
  if (error instanceof Abandoned) return new AiosError('serving.canceled', { cause: error });
  if (!(error instanceof FlowError)) {
    const { message } = error as Error;
    return new AiosError('serving.model_failed', { detail: message, cause: error });
  }
  const { code, instance, type, status } = error.body;
  const detail = instance ? `${instance}: ${error.message}` : error.message;
  const known = code !== undefined && PASSED.has(code) ? (code as ErrorCode) : 'serving.model_failed';
  return new AiosError(known, {
    detail,
    cause: error,
    extensions: { step: instance ?? '', error: { type, status } },
  });
}
