import type { ErrorCode } from '../../kernel/error-codes.ts';
import { AiosError } from '../../kernel/errors.ts';
import { PRIORITY_LEVELS } from '../hosting/request.ts';
import type { ScoreOutputs } from '../hosting/score.ts';
import type { Tensor } from '../tensors/tensor.ts';
import { agreementOf } from './agreement.ts';
import { ActiveSplit, type Side, type SplitCounts, type TrafficSplit } from './rollout-split.ts';

/** What the router reads and sets of a call. */
interface RoutedCall {
  readonly ref?: string | number | undefined;
  readonly stickyKey?: string | undefined;
  /** Of a workflow: the key of its calls is its run, unless they name one. */
  readonly step?: { readonly runId: string } | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly deadlineMs?: number | undefined;
  readonly isCopy?: boolean | undefined;
  readonly isPart?: boolean | undefined;
  readonly priority?: number | undefined;
}

/** What it reads of an answer. */
interface RoutedAnswer {
  readonly outputs: readonly Tensor[] | ScoreOutputs;
  readonly costMicroUsd: number;
  /** Why the version did not answer itself, where its fallback did. */
  readonly degraded?: { readonly reason: ErrorCode; readonly deadlineOf?: 'caller' } | undefined;
  /** Set when nothing was computed for the call. */
  readonly cached?: string | undefined;
}

type Run<Call, Answer> = (call: Call) => Promise<Answer>;

const DEFAULT_ALIAS = 'champion';
/** Refusals of what a call holds, before it is run. */
const MISFITS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'serving.unknown_input',
  'serving.missing_input',
  'serving.tensor_type',
  'serving.tensor_shape',
  'serving.feature_invalid',
  'serving.no_features',
]);

/**
 * Sends the calls of an alias under a rollout to one version or the other, counts what both do, and gives copies to the other where they are to be
 * compared. Without a rollout a call costs one look at an empty map.
 *
 * @example const split = router.find('return-risk', undefined); if (split) return router.route(split, call, run)
 */
export class RolloutRouter {
  readonly #byModel = new Map<string, Map<string, ActiveSplit>>();
  readonly #copiesMax: number;
  #copies = 0;
  /** Splits that ended with counts which nobody has asked for yet. */
  #ended: ActiveSplit[] = [];

  /** @param copiesMax copies under way at once; more are left out and counted */
  constructor(copiesMax: number) {
    this.#copiesMax = copiesMax;
  }

  /** The splits in force from now on, all of them. A version that gets traffic by one must be warm. */
  put(splits: readonly TrafficSplit[]): void {
    const known = new Map([...this.#active()].map((split) => [split.plan.id, split]));
    this.#byModel.clear();
    for (const plan of splits) {
      const split = known.get(plan.id) ?? new ActiveSplit(plan);
      known.delete(plan.id);
      split.plan = plan;
      const ofModel = this.#byModel.get(plan.model) ?? new Map<string, ActiveSplit>();
      this.#byModel.set(plan.model, ofModel.set(plan.alias, split));
    }
    this.#ended.push(...known.values());
  }

  find(model: string, reference: string | number | undefined): ActiveSplit | undefined {
    const ofModel = this.#byModel.get(model);
    return ofModel === undefined ? undefined : ofModel.get(String(reference ?? DEFAULT_ALIAS));
  }

  /** Both versions of each split: a rare key must not find its version cold, nor a rollback the champion. */
  versions(): { model: string; version: number }[] {
    return [...this.#active()].flatMap(({ plan: { model, champion, challenger } }) => [
      { model, version: champion },
      { model, version: challenger },
    ]);
  }

  /** Whether a version is one of a split. */
  holds(model: string, version: number): boolean {
    for (const { plan } of this.#byModel.get(model)?.values() ?? [])
      if (plan.champion === version || plan.challenger === version) return true;
    return false;
  }

  /** What was counted since the last call, of each split that has counted anything. */
  drain(): SplitCounts[] {
    const ended = this.#ended;
    this.#ended = [];
    return [...this.#active(), ...ended].flatMap((split) => split.drain() ?? []);
  }

  /** Answers a call by the version that its key is given to. Errors are those of `run`. */
  async route<Call extends RoutedCall, Answer extends RoutedAnswer>(
    split: ActiveSplit,
    call: Call,
    run: Run<Call, Answer>,
  ): Promise<Answer> {
    const side = split.sideOf(call.stickyKey ?? call.step?.runId);
    // Asked by a copy of an ensemble: nobody waits for it, it stands behind all requests, and it is a comparison already.
    if (call.isCopy) return run({ ...call, ref: split.plan[side] });
    const startedMs = performance.now();
    let answer: Answer;
    try {
      answer = await run({ ...call, ref: split.plan[side] });
    } catch (error) {
      if (isMisfit(error)) {
        const { isForced, percent } = split.plan;
        // At 0 percent, as in a shadow, the challenger answers nobody.
        if (isForced && percent > 0) return this.#byTheOther(split, side, call, run);
        if (side === 'challenger') return this.#insteadOf(split, call, error, run);
      }
      split.failed(side, error);
      throw error;
    }
    countAnswer(split, side, answer, startedMs);
    // Of a version that failed there is nothing to compare.
    if (!answer.degraded && split.isCopied()) this.#copy(split, side, call, answer, run);
    return answer;
  }

  /** What the champion takes is right: that the challenger does not take it is its own failure. What neither takes is its caller's, and counts for nothing. */
  async #insteadOf<Call extends RoutedCall, Answer extends RoutedAnswer>(
    split: ActiveSplit,
    call: Call,
    refused: AiosError,
    run: Run<Call, Answer>,
  ): Promise<Answer> {
    const answer = await run({ ...call, ref: split.plan.champion, isPart: true });
    split.failed('challenger', new AiosError('serving.model_failed', { cause: refused }));
    return answer;
  }

  /** Where callers change with the version, their calls say which of the two they are for: that the other does not take one counts for nothing. */
  async #byTheOther<Call extends RoutedCall, Answer extends RoutedAnswer>(
    split: ActiveSplit,
    refusedBy: Side,
    call: Call,
    run: Run<Call, Answer>,
  ): Promise<Answer> {
    const side = otherThan(refusedBy);
    const startedMs = performance.now();
    try {
      const answer = await run({ ...call, ref: split.plan[side], isPart: true });
      countAnswer(split, side, answer, startedMs);
      return answer;
    } catch (error) {
      split.failed(side, error);
      throw error;
    }
  }

  /** Gives the other version a copy, once the caller has its answer; what comes of it is counted, and nobody waits for it. */
  #copy<Call extends RoutedCall, Answer extends RoutedAnswer>(
    split: ActiveSplit,
    answered: Side,
    call: Call,
    answer: Answer,
    run: Run<Call, Answer>,
  ): void {
    if (this.#copies >= this.#copiesMax) {
      split.dropped();
      return;
    }
    this.#copies++;
    setImmediate(() => {
      void this.#compare(split, answered, call, answer, run).finally(() => {
        this.#copies--;
      });
    });
  }

  async #compare<Call extends RoutedCall, Answer extends RoutedAnswer>(
    split: ActiveSplit,
    answered: Side,
    call: Call,
    answer: Answer,
    run: Run<Call, Answer>,
  ): Promise<void> {
    const { plan } = split;
    const other = otherThan(answered);
    const startedMs = performance.now();
    try {
      const ref = plan[other];
      // Where a copy and a request wait for the same replica, the request goes first.
      // And it has all the time that there is: the patience of the caller is for what came first.
      const own = { signal: undefined, deadlineMs: undefined, isCopy: true, priority: PRIORITY_LEVELS };
      const copy = await run({ ...call, ...own, ref });
      if (plan.shadow && copy.cached === undefined) split.succeeded(other, performance.now() - startedMs);
      split.compared(
        agreementOf(answer.outputs, copy.outputs, plan.comparison?.tolerance ?? 0),
        copy.costMicroUsd,
      );
    } catch (error) {
      if (plan.shadow) split.failed(other, error);
    }
  }

  *#active(): Iterable<ActiveSplit> {
    for (const ofModel of this.#byModel.values()) yield* ofModel.values();
  }
}

function isMisfit(error: unknown): error is AiosError {
  return error instanceof AiosError && MISFITS.has(error.code);
}

function otherThan(side: Side): Side {
  return side === 'champion' ? 'challenger' : 'champion';
}

/** For the version that was asked. Where a fallback answered in its place the caller is served; the version failed all the same. */
function countAnswer(
  split: ActiveSplit,
  side: Side,
  { degraded, cached }: RoutedAnswer,
  startedMs: number,
): void {
  if (degraded) split.failed(side, failureOf(degraded));
  // What was kept or shared says nothing of how the version is now, and the champion's cache is the fuller one.
  else if (cached === undefined) split.succeeded(side, performance.now() - startedMs);
}

function failureOf({ reason, deadlineOf }: NonNullable<RoutedAnswer['degraded']>): AiosError {
  return new AiosError(reason, deadlineOf && { extensions: { deadlineOf } });
}
