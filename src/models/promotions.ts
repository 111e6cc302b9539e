import type { Clock } from '../kernel/clock.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import type { Queryable } from '../store/database.ts';
import type { Definitions } from '../store/definitions.ts';
import type { Committer } from '../store/group-commit.ts';
import { type Write, write } from '../store/lane.ts';
import { approvalLane, waitingLane, withdrawalLane } from './approval-lanes.ts';
import type { Actor } from './candidate.ts';
import type { ModelDefinition } from './model-kind.ts';
import type { Models } from './models.ts';
import { type CheckOutcome, NO_POLICY, type PromotionPolicy, runChecks } from './promotion-policy.ts';
import type { RolloutFigures } from './rollout-figures.ts';

/** Who approves: a person, with what they are in. */
export interface Approver extends Actor {
  readonly name: string;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
}

export interface Approval {
  readonly person: string;
  readonly name: string;
  readonly decision: 'approve' | 'reject';
  readonly reason: string | null;
  readonly at: number;
}

/** How far a version is from being allowed the traffic of an alias. */
export interface Standing {
  readonly alias: string;
  readonly version: number;
  readonly policy: PromotionPolicy;
  /** Those that count; a rejection stands in the way until it is taken back. */
  readonly approvals: readonly Approval[];
  readonly approvalsMissing: number;
  readonly checks: readonly CheckOutcome[];
  /** Why calls of the alias would be refused by the version; they stand in the way of a promotion that is not forced. */
  readonly misfits: readonly Issue[];
  readonly isAllowed: boolean;
}

export interface WaitingPromotion {
  readonly requestedBy: Actor;
  readonly requestedAt: number;
  /** It comes also where calls of the alias do not fit the version. */
  readonly isForced: boolean;
  readonly standing: Standing;
}

/** What happened around a promotion, for the audit log. */
export interface ApprovalChange {
  readonly action: 'promotion-requested' | 'promotion-approved' | 'promotion-rejected';
  readonly model: string;
  readonly version: number;
  readonly alias: string;
  readonly digest: string;
  readonly by: Actor;
  readonly at: number;
  readonly reason: string | null;
}

export interface PromotionsDependencies {
  db: Queryable;
  commit: Committer;
  clock: Clock;
  definitions: Pick<Definitions, 'latest'>;
  models: Models;
  record(change: ApprovalChange): readonly Write[];
}

interface Target {
  model: string;
  alias: string;
  version: number;
}

interface ApprovalRow extends Omit<Approval, 'name'> {
  person_name: string;
  memberships: string[];
}

/**
 * What stands between a version and the traffic of an alias: the approvals and the checks that the model's definition names under `promotion`. An
 * approval is for one version, whose content never changes, and for one alias.
 *
 * @example (await promotions.promote({ model: 'return-risk', alias: 'champion', version: 2, by })).isPromoted // false: it waits for approvals
 */
export class Promotions {
  readonly #deps: PromotionsDependencies;

  constructor(dependencies: PromotionsDependencies) {
    this.#deps = dependencies;
  }

  /**
   * Moves an alias, or leaves word that it shall move once the approvals are there.
   *
   * @param force also where the calls of the alias do not fit the version; approvals and checks are needed all the same
   * @throws AiosError those of `Models.promote`, and `models.check_failed`
   */
  async promote({
    by,
    force = false,
    ...target
  }: Target & { by: Actor; force?: boolean | undefined }): Promise<{
    isPromoted: boolean;
    standing: Standing;
  }> {
    const { models, clock, commit } = this.#deps;
    await models.reload();
    const standing = await this.standing(target, null);
    const { model, alias, version } = target;
    if (standing.isAllowed || models.get(model).aliases[alias] === version) {
      await this.#move(target, by, force);
      return { isPromoted: true, standing };
    }
    throwFailedChecks(target, standing);
    if (!force) models.refuseMisfits(model, alias, version);
    const now = clock.now();
    const waits = await this.waiting(model);
    const isSame = ({ standing: other, isForced }: WaitingPromotion) =>
      other.alias === alias && other.version === version && (isForced || !force);
    if (!waits.some(isSame)) {
      await commit.commit([
        write(waitingLane, { ...target, waits: { requestedBy: by, requestedAt: now, isForced: force } }),
        ...this.#record('promotion-requested', target, by, now, null),
      ]);
    }
    return { isPromoted: false, standing };
  }

  /**
   * Takes what a person says of a version. The last approval that a waiting promotion needs moves the alias.
   *
   * @throws AiosError `models.not_an_approver`, `models.unknown_version`, and those of a promotion
   */
  async decide(
    target: Target,
    { decision, reason, by }: { decision: Approval['decision']; reason?: string | undefined; by: Approver },
  ): Promise<{ isPromoted: boolean; standing: Standing }> {
    const { models, clock, commit } = this.#deps;
    const { model, alias, version } = target;
    await models.reload();
    const { createdBy, startedBy } = models.version(model, version);
    const policy = this.policyOf(model);
    const memberships = [...by.groups, ...by.roles];
    if (!isApprover(policy, by.id, memberships, [createdBy, startedBy])) {
      const who = policy.of?.join(', ') ?? 'anybody who may approve';
      const eyes =
        by.id === createdBy || by.id === startedBy
          ? ` You ${by.id === createdBy ? 'registered' : 'started the training of'} this version: somebody else must approve it.`
          : '';
      throw new AiosError('models.not_an_approver', { detail: `${model} is approved by ${who}.${eyes}` });
    }
    const at = clock.now();
    const action = decision === 'approve' ? 'promotion-approved' : 'promotion-rejected';
    const actor = { kind: by.kind, id: by.id };
    await commit.commit([
      write(approvalLane, {
        ...target,
        person: by.id,
        personName: by.name,
        memberships,
        decision,
        reason: reason ?? null,
        at,
      }),
      ...this.#record(action, target, actor, at, reason ?? null),
    ]);
    const standing = await this.standing(target, null);
    const waiting = await this.waiting(model);
    const asked = waiting.find(({ standing: other }) => other.alias === alias && other.version === version);
    if (!asked || !standing.isAllowed) return { isPromoted: false, standing };
    await this.#move(target, asked.requestedBy, asked.isForced);
    return { isPromoted: true, standing };
  }

  /**
   * Gives an alias back to the version that it meant before `version`, at once and without approvals; those of the version taken away are void. An alias
   * that means another version by now is left as it is.
   *
   * @returns the version that the alias means then
   * @throws AiosError `models.nothing_to_roll_back`, `models.rollout_active`
   */
  async rollBack({
    model,
    alias,
    version,
    by,
    reason,
  }: Target & { by: Actor; reason?: string | undefined }): Promise<number> {
    const { db, models } = this.#deps;
    await models.reload();
    const current = models.get(model).aliases[alias];
    if (current === undefined)
      throw new AiosError('models.unknown_version', { detail: `${model} has no alias “${alias}”.` });
    if (current !== version) return current;
    const [row] = await db.query<{ before: number | null }>(
      'select before from model_aliases where name = $1 and alias = $2 and version = $3',
      [model, alias, version],
    );
    if (!row?.before)
      throw new AiosError('models.nothing_to_roll_back', {
        detail: `${alias} of ${model} has pointed at no other version before version ${version}.`,
      });
    const writes = this.withdraw(model, alias, version);
    await models.promote({
      name: model,
      alias,
      version: row.before,
      by,
      rollback: { reason: reason ?? null },
      writes,
    });
    return row.before;
  }

  /** @throws AiosError `models.approval_needed`, `models.check_failed` when the version may not have traffic of the alias */
  async allow(model: string, alias: string, version: number, figures: RolloutFigures | null): Promise<void> {
    const target = { model, alias, version };
    const standing = await this.standing(target, figures);
    if (standing.isAllowed) return;
    throwFailedChecks(target, standing);
    throw new AiosError('models.approval_needed', { detail: describeMissing(target, standing) });
  }

  /** The write that makes the approvals of a version void. */
  withdraw(model: string, alias: string, version: number): readonly Write[] {
    return [write(withdrawalLane, { model, alias, version })];
  }

  /** What the promotions of a model wait for. */
  async waiting(model: string): Promise<WaitingPromotion[]> {
    const rows = await this.#deps.db.query<{
      alias: string;
      version: number;
      requested_by: Actor;
      requested_at: number;
      is_forced: boolean;
    }>(
      'select alias, version, requested_by, requested_at, is_forced from model_promotions where model = $1 order by alias',
      [model],
    );
    return Promise.all(
      rows.map(async ({ alias, version, requested_by, requested_at, is_forced }) => ({
        requestedBy: requested_by,
        requestedAt: requested_at,
        isForced: is_forced,
        standing: await this.standing({ model, alias, version }, null),
      })),
    );
  }

  policyOf(model: string): PromotionPolicy {
    const definition = this.#deps.definitions.latest('model', model)?.body as ModelDefinition | undefined;
    return definition?.promotion ?? NO_POLICY;
  }

  /** @throws AiosError `models.unknown_version` */
  async standing({ model, alias, version }: Target, figures: RolloutFigures | null): Promise<Standing> {
    const policy = this.policyOf(model);
    const { card, metadata, createdBy, startedBy, digest } = this.#deps.models.version(model, version);
    const rows = await this.#deps.db.query<ApprovalRow>(
      `select person, person_name, memberships, decision, reason, at from model_approvals
       where model = $1 and version = $2 and alias = $3 order by at, person`,
      [model, version, alias],
    );
    const approvals = rows
      .filter(({ person, memberships }) => isApprover(policy, person, memberships, [createdBy, startedBy]))
      .map(({ person, person_name: name, decision, reason, at }) => ({ person, name, decision, reason, at }));
    const count = approvals.filter(({ decision }) => decision === 'approve').length;
    const approvalsMissing = Math.max(0, policy.approvals - count);
    const scope = { version: { version, digest, createdBy }, card, metadata, rollout: figures };
    const checks = runChecks(policy.checks ?? [], scope);
    const isRejected = approvals.some(({ decision }) => decision === 'reject');
    const isAllowed = approvalsMissing === 0 && !isRejected && checks.every(({ passed }) => passed);
    const misfits = this.#deps.models.misfits(model, alias, version);
    return { alias, version, policy, approvals, approvalsMissing, checks, misfits, isAllowed };
  }

  async #move({ model, alias, version }: Target, by: Actor, force: boolean): Promise<void> {
    const writes = [write(waitingLane, { model, alias, version, waits: undefined })];
    await this.#deps.models.promote({ name: model, alias, version, by, force, writes });
  }

  #record(
    action: ApprovalChange['action'],
    target: Target,
    by: Actor,
    at: number,
    reason: string | null,
  ): readonly Write[] {
    const { digest } = this.#deps.models.version(target.model, target.version);
    return this.#deps.record({ action, ...target, digest, by, at, reason });
  }
}

function isApprover(
  policy: PromotionPolicy,
  person: string,
  memberships: readonly string[],
  makers: readonly (string | null)[],
): boolean {
  if (policy.fourEyes !== false && makers.includes(person)) return false;
  return policy.of === undefined || policy.of.some((each) => memberships.includes(each));
}

function throwFailedChecks({ model, version }: Target, { checks }: Standing): void {
  const failed = checks.filter(({ passed }) => !passed);
  if (failed.length === 0) return;
  throw new AiosError('models.check_failed', {
    detail: `${model}/${version}: ${failed.map(({ check, detail }) => (detail ? `${check} (${detail})` : check)).join('; ')}`,
  });
}

function describeMissing(
  { model, version }: Target,
  { approvals, approvalsMissing, policy }: Standing,
): string {
  const rejected = approvals.filter(({ decision }) => decision === 'reject').map(({ name }) => name);
  if (rejected.length > 0) return `${model}/${version} was rejected by ${rejected.join(', ')}.`;
  const who = policy.of ? ` of ${policy.of.join(' or ')}` : '';
  return `${model}/${version} needs ${approvalsMissing} more of ${policy.approvals} approvals${who}.`;
}
