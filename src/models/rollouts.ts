import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { digestOf } from '../kernel/canonical.ts';
import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import { newId } from '../kernel/ids.ts';
import type { Queryable } from '../store/database.ts';
import type { Committer } from '../store/group-commit.ts';
import { type Write, write } from '../store/lane.ts';
import type { Actor } from './candidate.ts';
import { retryConflicts } from './conflicts.ts';
import type { Models } from './models.ts';
import type { Rollout } from './rollout.ts';
import { changed, ended, type RolloutChange, stepped } from './rollout-changes.ts';
import { type CountedSplit, readArms, readCounts } from './rollout-counting.ts';
import { figuresOf, type RolloutFigures, type Side } from './rollout-figures.ts';
import {
  outcomeLane,
  ROLLOUT_COLUMNS,
  type RolloutRow,
  rolloutFromRow,
  rolloutLane,
} from './rollout-lanes.ts';
import { type PlanRequest, settlePlan } from './rollout-plan.ts';
import { lookAt, type TestLook } from './sequential-test.ts';

/** What traffic is asked to do: a split of the calls of an alias. */
export interface Split
  extends Pick<Rollout, 'id' | 'model' | 'alias' | 'champion' | 'challenger' | 'percent' | 'isForced'> {
  readonly comparison: Rollout['plan']['comparison'];
  readonly shadow: boolean;
}

/** What rollouts need of what serves the calls. */
export interface RolloutTraffic {
  /** Starts and warms a version in this process. */
  prepare(model: string, version: number): Promise<void>;
  /** The splits in force from now on, all of them. */
  put(splits: readonly Split[]): void;
  /** What was counted since the last call. */
  drain(): readonly CountedSplit[];
  /** The side of a key, by the same rule that calls are sent by. */
  sideOf(split: Split, key: string): Side;
}

/** What rollouts need of the approvals of versions. */
interface RolloutApprovals {
  /** @throws AiosError when a version may not be given traffic under an alias: its policy asks for approvals, or a check fails */
  allow(model: string, alias: string, version: number, figures: RolloutFigures | null): Promise<void>;
  /** The writes that make the approvals of a version void. */
  withdraw(model: string, alias: string, version: number): readonly Write[];
}

export interface RolloutsDependencies {
  db: Queryable;
  commit: Committer;
  clock: Clock;
  models: Models;
  traffic: RolloutTraffic;
  approvals: RolloutApprovals;
  record(change: RolloutChange): readonly Write[];
}

export interface NewRollout extends PlanRequest {
  model: string;
  alias?: string | undefined;
  challenger: number;
  /** Also where calls of the alias do not fit the challenger; approvals and checks are needed all the same. */
  force?: boolean | undefined;
  by: Actor;
}

/** What is known of a rollout. */
export interface RolloutReport {
  readonly rollout: Rollout;
  /** Since it began. */
  readonly figures: RolloutFigures;
  /** In the time that the guards judge. */
  readonly recent: RolloutFigures;
  /** Of an A/B test. */
  readonly test: (TestLook & { readonly samples: { champion: number; challenger: number } }) | null;
}

export interface Outcome {
  /** The sticky key of the calls that led to it. */
  readonly key: string;
  readonly value: number;
}

interface Ending {
  by: Actor;
  reason?: string | null | undefined;
  /** What was judged: a rollout that was changed since is left as it is. */
  revision?: number | undefined;
}

/**
 * Rollouts of aliases: kept in the database, so that all processes follow the same. What runs them by itself is `RolloutRunner`.
 *
 * @example const rollout = await rollouts.start({ model: 'return-risk', challenger: 2, kind: 'canary', percent: 5, by })
 */
export class Rollouts {
  readonly #deps: RolloutsDependencies;
  readonly #listeners: (() => Promise<void>)[] = [];

  constructor(dependencies: RolloutsDependencies) {
    this.#deps = dependencies;
  }

  /** Called after each change that is made here. */
  onChange(listener: () => Promise<void>): void {
    this.#listeners.push(listener);
  }

  /**
   * Begins a rollout, once its challenger is warm. The same again, as long as it is active, answers with the one that is.
   *
   * @throws AiosError `models.rollout_invalid`, `models.rollout_active`, `models.unknown_version`, `models.signature_changed` where callers would be refused and it is not forced,
   * `models.approval_needed`, `models.check_failed`
   * @example await rollouts.start({ model: 'return-risk', challenger: 2, kind: 'shadow', comparison: { share: 0.1 }, by })
   */
  async start({
    model,
    alias = 'champion',
    challenger,
    force,
    by,
    ...request
  }: NewRollout): Promise<Rollout> {
    const { models, traffic, approvals, clock } = this.#deps;
    const plan = settlePlan(request);
    await models.reload();
    models.version(model, challenger);
    return retryConflicts(async () => {
      const present = await this.#active(model, alias);
      if (present) {
        if (present.challenger === challenger && isDeepStrictEqual(present.plan, plan)) return present;
        throw new AiosError('models.rollout_active', {
          detail: `${alias} of ${model} is under the rollout ${present.id}, of version ${present.challenger}.`,
        });
      }
      const champion = models.get(model).aliases[alias];
      if (champion === undefined || champion === challenger)
        throw new AiosError('models.rollout_invalid', {
          detail:
            champion === undefined
              ? `${model} has no alias “${alias}”: promote a version to it first.`
              : `${alias} of ${model} already points at version ${challenger}.`,
        });
      if (!force) models.refuseMisfits(model, alias, challenger);
      const isForced = models.misfits(model, alias, challenger).length > 0;
      if (plan.kind !== 'shadow') await approvals.allow(model, alias, challenger, null);
      await traffic.prepare(model, challenger);
      const now = clock.now();
      const rollout: Rollout = {
        id: newId('rol'),
        ...{ model, alias, champion, challenger, plan, status: 'running' },
        ...{ percent: plan.steps[0]!.percent, step: 0, stepStartedAt: now, stepRequests: 0 },
        ...{ startedAt: now, startedBy: by, isForced, conclusion: null },
        ...{ endedAt: null, endedBy: null, reason: null, figures: null, change: randomUUID(), revision: 1 },
      };
      try {
        await this.#commit('rollout-started', rollout, { by, at: now, reason: null, figures: null });
      } catch (error) {
        await models.reload();
        throw error;
      }
      return rollout;
    });
  }

  /**
   * Goes to a step of the plan, or to a share by hand; a paused rollout runs again.
   *
   * @throws AiosError `models.no_rollout`, `models.rollout_ended`, `models.rollout_invalid`
   */
  async step(
    model: string,
    id: string,
    to: { step?: number | undefined; percent?: number | undefined },
    by: Actor,
  ): Promise<Rollout> {
    return this.change(model, id, 'rollout-step', by, async (rollout, now) => {
      const { plan } = rollout;
      const refuse = (detail: string) => new AiosError('models.rollout_invalid', { detail });
      if (plan.kind !== 'canary') throw refuse('Only a canary has steps.');
      const step = to.step ?? rollout.step;
      const percent = to.percent ?? plan.steps[step]?.percent;
      if (percent === undefined)
        throw refuse(
          `There is no step ${step}: the last one is ${plan.steps.length - 1}, and the first is 0.`,
        );
      if (step === rollout.step && percent === rollout.percent && rollout.status === 'running')
        return rollout;
      const { total } = await this.#counts(rollout, now);
      return stepped(rollout, { step, percent }, total.challenger.requests, now);
    });
  }

  /** Stops the schedule; the traffic stays as it is. */
  pause(model: string, id: string, by: Actor): Promise<Rollout> {
    return this.change(model, id, 'rollout-paused', by, (rollout) =>
      rollout.status === 'paused' ? rollout : changed(rollout, { status: 'paused' }),
    );
  }

  /** Lets the schedule go on; the time of the step begins anew. */
  resume(model: string, id: string, by: Actor): Promise<Rollout> {
    return this.change(model, id, 'rollout-resumed', by, (rollout, now) =>
      rollout.status === 'running' ? rollout : changed(rollout, { status: 'running', stepStartedAt: now }),
    );
  }

  /**
   * Takes the challenger out: from now on all calls are the champion's. Rolled back already, nothing happens.
   *
   * @throws AiosError `models.no_rollout`, `models.rollout_ended` when it was promoted
   */
  rollBack(model: string, id: string, ending: Ending): Promise<Rollout> {
    return this.#end(model, id, 'rolled-back', ending);
  }

  /**
   * Moves the alias to the challenger, and ends the rollout with it. Promoted already, nothing happens.
   *
   * @throws AiosError `models.no_rollout`, `models.rollout_ended`, `models.approval_needed`, `models.check_failed`
   */
  promote(model: string, id: string, ending: Ending): Promise<Rollout> {
    return this.#end(model, id, 'promoted', ending);
  }

  /** @throws AiosError `models.no_rollout` */
  async get(model: string, id: string): Promise<Rollout> {
    const [row] = await this.#deps.db.query<RolloutRow>(
      `select ${ROLLOUT_COLUMNS} from model_rollouts where model = $1 and id = $2`,
      [model, id],
    );
    if (!row) throw new AiosError('models.no_rollout', { detail: `${model} has no rollout ${id}.` });
    return rolloutFromRow(row);
  }

  /** The rollouts of a model, the newest first. */
  async list(model: string, countMax = 50): Promise<Rollout[]> {
    const rows = await this.#deps.db.query<RolloutRow>(
      `select ${ROLLOUT_COLUMNS} from model_rollouts where model = $1 order by started_at desc, id desc limit $2`,
      [model, countMax],
    );
    return rows.map(rolloutFromRow);
  }

  /** Those that have not ended, of all models. */
  async active(): Promise<Rollout[]> {
    const rows = await this.#deps.db.query<RolloutRow>(
      `select ${ROLLOUT_COLUMNS} from model_rollouts where ended_at is null order by id`,
    );
    return rows.map(rolloutFromRow);
  }

  /** What all processes counted; once it has ended, what was known then. */
  async report(rollout: Rollout): Promise<RolloutReport> {
    const { recent, total } = await this.#counts(rollout, this.#deps.clock.now());
    const figures = rollout.figures ?? figuresOf(total);
    return {
      rollout,
      figures,
      recent: rollout.endedAt === null ? figuresOf(recent) : figures,
      test: await this.#test(rollout),
    };
  }

  /**
   * Takes outcomes of an A/B test: each key counts once, with its first outcome, for the version that its calls were given to.
   *
   * @returns how many were new
   * @throws AiosError `models.no_rollout`, `models.rollout_invalid` when the rollout is no A/B test, `models.rollout_ended`
   */
  async reportOutcomes(model: string, id: string, outcomes: readonly Outcome[]): Promise<number> {
    const rollout = await this.get(model, id);
    if (rollout.plan.outcome === null)
      throw new AiosError('models.rollout_invalid', {
        detail: `${id} is not an A/B test: it has no outcome.`,
      });
    if (rollout.endedAt !== null) throw hasEnded(rollout);
    const split = splitOf(rollout);
    const writes = outcomes.map(({ key, value }) =>
      write(outcomeLane, {
        rollout: id,
        keyDigest: digestOf({ id, key }),
        side: this.#deps.traffic.sideOf(split, key),
        value,
      }),
    );
    const counted = await this.#deps.commit.commit(writes);
    return counted.filter((each) => each === true).length;
  }

  /** Changes an active rollout behind its gate: decided again when another change came first. Left as it is, nothing is written. */
  async change(
    model: string,
    id: string,
    action: RolloutChange['action'],
    by: Actor,
    decide: (rollout: Rollout, now: number) => Rollout | Promise<Rollout>,
  ): Promise<Rollout> {
    return retryConflicts(async () => {
      const rollout = await this.get(model, id);
      if (rollout.endedAt !== null) throw hasEnded(rollout);
      const at = this.#deps.clock.now();
      const next = await decide(rollout, at);
      if (next === rollout) return rollout;
      const { figures } = await this.report(rollout);
      await this.#commit(action, next, { by, at, reason: null, figures });
      return next;
    });
  }

  async #end(
    model: string,
    id: string,
    status: 'promoted' | 'rolled-back',
    { by, reason = null, revision }: Ending,
  ): Promise<Rollout> {
    const { models, approvals, clock } = this.#deps;
    return retryConflicts(async () => {
      const rollout = await this.get(model, id);
      if (rollout.status === status || rollout.revision !== (revision ?? rollout.revision)) return rollout;
      if (rollout.endedAt !== null) throw hasEnded(rollout);
      const { figures } = await this.report(rollout);
      const { alias, challenger } = rollout;
      await models.reload(); // another process may have registered the challenger a moment ago
      if (status === 'promoted') await approvals.allow(model, alias, challenger, figures);
      const how = { by, at: clock.now(), reason, figures };
      const last = ended(rollout, status, how);
      if (status === 'rolled-back') {
        const isTried = rollout.plan.kind !== 'shadow';
        const withdrawn = isTried ? approvals.withdraw(model, alias, challenger) : [];
        await this.#commit('rollout-rolled-back', last, how, withdrawn);
      } else {
        const change: RolloutChange = { action: 'rollout-promoted', rollout: last, ...how };
        const writes = [write(rolloutLane, { rollout: last }), ...this.#deps.record(change)];
        const { isForced: force } = rollout;
        await models.promote({ name: model, alias, version: challenger, by, force, rollout: id, writes });
        await this.#changed();
      }
      return last;
    });
  }

  async #commit(
    action: RolloutChange['action'],
    rollout: Rollout,
    how: Omit<RolloutChange, 'action' | 'rollout'>,
    more: readonly Write[] = [],
  ): Promise<void> {
    await this.#deps.commit.commit([
      write(rolloutLane, { rollout }),
      ...this.#deps.record({ action, rollout, ...how }),
      ...more,
    ]);
    await this.#changed();
  }

  async #changed(): Promise<void> {
    for (const listener of this.#listeners) await listener();
  }

  async #active(model: string, alias: string): Promise<Rollout | undefined> {
    const [row] = await this.#deps.db.query<RolloutRow>(
      `select ${ROLLOUT_COLUMNS} from model_rollouts where model = $1 and alias = $2 and ended_at is null`,
      [model, alias],
    );
    return row && rolloutFromRow(row);
  }

  #counts({ id, plan }: Rollout, now: number) {
    return readCounts(this.#deps.db, id, plan.guards.windowSeconds, now);
  }

  async #test({ id, plan }: Rollout): Promise<RolloutReport['test']> {
    if (plan.outcome === null) return null;
    const { champion, challenger } = await readArms(this.#deps.db, id);
    return {
      ...lookAt(champion, challenger, plan.outcome),
      samples: { champion: champion.count, challenger: challenger.count },
    };
  }
}

/** What a rollout asks of the traffic. */
export function splitOf({ plan: { comparison, kind }, ...rollout }: Rollout): Split {
  const { id, model, alias, champion, challenger, percent, isForced } = rollout;
  const shadow = kind === 'shadow';
  return { id, model, alias, champion, challenger, percent, comparison, shadow, isForced };
}

function hasEnded({ id, status }: Rollout): AiosError {
  return new AiosError('models.rollout_ended', { detail: `${id} was ${status.replace('-', ' ')}.` });
}
