import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import { newId } from '../kernel/ids.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Changes } from '../store/changes.ts';
import type { Committer } from '../store/group-commit.ts';
import { Poller } from '../store/poller.ts';
import { isConflict } from './conflicts.ts';
import type { Models } from './models.ts';
import type { Rollout } from './rollout.ts';
import { changed, dueOf, stepped } from './rollout-changes.ts';
import { RolloutCounting } from './rollout-counting.ts';
import { breachOf } from './rollout-guards.ts';
import { type RolloutReport, type Rollouts, type RolloutTraffic, splitOf } from './rollouts.ts';

const SYSTEM = { kind: 'system', id: 'aios' };
const WARM_AGAIN_MS = 5_000;

export interface RunnerDependencies {
  rollouts: Rollouts;
  models: Models;
  traffic: RolloutTraffic;
  commit: Committer;
  clock: Clock;
  limits: Pick<Limits, 'rolloutPollMs' | 'rolloutCountMs'>;
  changes?: Changes;
  onError(error: unknown): void;
}

/**
 * Runs the rollouts in one process: sees what any process changed within `rolloutPollMs`, gives traffic to a challenger once it is warm here, writes
 * the counts each `rolloutCountMs`, and judges them: it steps, promotes and rolls back. Every process judges; the gate lets one of them change.
 *
 * @example const runner = new RolloutRunner({ rollouts, models, traffic, commit, clock, limits, onError }); await runner.start()
 */
export class RolloutRunner {
  readonly #deps: RunnerDependencies;
  readonly #counting = new RolloutCounting(newId('wrk'));
  /** What is in force here, by id. */
  #active = new Map<string, Rollout>();
  readonly #warm = new Map<string, 'warming' | 'warm'>();
  #timer: NodeJS.Timeout | undefined;
  readonly #poller: Poller;
  #following: Promise<void> = Promise.resolve();
  #judging: Promise<void> | undefined;

  constructor(dependencies: RunnerDependencies) {
    this.#deps = dependencies;
    const { limits, changes } = dependencies;
    this.#poller = new Poller({
      look: () => this.#poll(),
      pollMs: limits.rolloutPollMs,
      changes,
      tables: ['model_rollouts'],
    });
    dependencies.rollouts.onChange(() => this.follow());
  }

  /** Takes up what is active, its challengers warm, and goes on until `stop`. */
  async start(): Promise<void> {
    await this.follow();
    await Promise.all([...this.#active.values()].map((rollout) => this.#warmUp(rollout)));
    this.#poller.begin();
    this.#timer = setInterval(() => {
      this.#judging ??= this.judge()
        .catch(this.#deps.onError)
        .finally(() => {
          this.#judging = undefined;
        });
    }, this.#deps.limits.rolloutCountMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#poller.stop();
    await this.#judging;
    await this.#following;
    await this.#writeCounts().catch(this.#deps.onError);
  }

  /** Reads what is active and lets the traffic follow; one at a time. */
  follow(): Promise<void> {
    const followed = this.#following.then(() => this.#follow());
    this.#following = followed.catch(() => {});
    return followed;
  }

  /** Writes what was counted here, and does what is due by the counts of all processes. */
  async judge(): Promise<void> {
    await this.#writeCounts();
    for (const rollout of this.#active.values()) {
      try {
        await this.#judge(await this.#deps.rollouts.report(rollout));
      } catch (error) {
        const isOthers =
          isConflict(error) || (error instanceof AiosError && error.code === 'models.rollout_ended');
        if (!isOthers) this.#deps.onError(error); // the others are judged all the same
      }
    }
  }

  async #poll(): Promise<number | undefined> {
    try {
      await this.follow();
      return undefined;
    } catch (error) {
      this.#deps.onError(error);
      return this.#deps.limits.rolloutPollMs;
    }
  }

  async #follow(): Promise<void> {
    const { rollouts, models } = this.#deps;
    const found = await rollouts.active();
    const isSame =
      found.length === this.#active.size &&
      found.every(({ id, revision }) => this.#active.get(id)?.revision === revision);
    if (isSame) return;
    await models.reload(); // a rollout that ended may have moved its alias: before its split goes
    this.#active = new Map(found.map((rollout) => [rollout.id, rollout]));
    for (const id of this.#warm.keys()) if (!this.#active.has(id)) this.#warm.delete(id);
    this.#put();
    for (const rollout of found) if (!this.#warm.has(rollout.id)) void this.#warmUp(rollout);
  }

  #put(): void {
    const warm = [...this.#active.values()].filter(({ id }) => this.#warm.get(id) === 'warm');
    this.#deps.traffic.put(warm.map(splitOf));
  }

  async #warmUp({ id, model, challenger }: Rollout): Promise<void> {
    const { traffic, onError } = this.#deps;
    this.#warm.set(id, 'warming');
    try {
      await traffic.prepare(model, challenger);
      if (!this.#active.has(id)) return;
      this.#warm.set(id, 'warm');
      this.#put();
    } catch (error) {
      onError(error); // the champion answers all until it is warm
      setTimeout(() => {
        const rollout = this.#timer ? this.#active.get(id) : undefined;
        if (rollout) void this.#warmUp(rollout);
      }, WARM_AGAIN_MS).unref();
    }
  }

  async #writeCounts(): Promise<void> {
    const { traffic, commit, clock } = this.#deps;
    const secondsOf = (id: string) => this.#active.get(id)?.plan.guards.windowSeconds;
    await commit.commit(this.#counting.add(traffic.drain(), secondsOf, clock.now()));
    this.#counting.keepOnly(new Set(this.#active.keys()));
  }

  async #judge({ rollout, figures, recent, test }: RolloutReport): Promise<void> {
    const { rollouts, clock } = this.#deps;
    const { id, model, plan } = rollout;
    const breach = breachOf(plan.guards, recent);
    if (breach) {
      await rollouts.rollBack(model, id, { by: SYSTEM, reason: `${breach.guard}: ${breach.reason}` });
      return;
    }
    const conclusion = rollout.conclusion ?? (await this.#conclude(rollout, test));
    // Looked at with each judgement: what concluded may have ended before it took the challenger back.
    if (conclusion?.verdict === 'worse') {
      const { difference, pValue } = conclusion;
      await rollouts.rollBack(model, id, {
        by: SYSTEM,
        reason: `outcome: ${plan.outcome?.name} differs by ${difference.toPrecision(3)} (p ≤ ${pValue.toPrecision(2)}).`,
      });
      return;
    }
    const requests = figures.challenger.requests;
    const due = dueOf(rollout, requests, clock.now());
    if (due?.kind === 'promote')
      await rollouts.promote(model, id, {
        by: SYSTEM,
        reason: 'The last step of its schedule has ended.',
        revision: rollout.revision,
      });
    if (due?.kind === 'step')
      await rollouts.change(model, id, 'rollout-step', SYSTEM, (current, now) =>
        current.revision === rollout.revision
          ? stepped(current, { step: due.step, percent: plan.steps[due.step]!.percent }, requests, now)
          : current,
      );
  }

  /** Keeps the first finding of an A/B test: a challenger that is worse is taken back, a better one waits to be promoted. */
  async #conclude(
    { id, model, plan: { outcome } }: Rollout,
    test: RolloutReport['test'],
  ): Promise<Rollout['conclusion']> {
    if (!test || !outcome || test.pValue > outcome.alpha) return null;
    const { pValue, difference, interval, samples } = test;
    if (difference === null || interval === null) return null;
    const verdict = difference > 0 === outcome.higherIsBetter ? 'better' : 'worse';
    const concluded = await this.#deps.rollouts.change(
      model,
      id,
      'rollout-concluded',
      SYSTEM,
      (current, at) =>
        current.conclusion === null
          ? changed(current, { conclusion: { verdict, difference, interval, pValue, samples, at } })
          : current,
    );
    return concluded.conclusion;
  }
}
