import { createHash } from 'node:crypto';
import { digestOf } from '../../kernel/canonical.ts';
import type { Clock } from '../../kernel/clock.ts';
import { AiosError, toAiosError } from '../../kernel/errors.ts';
import { derivedId, newId } from '../../kernel/ids.ts';
import type { Json } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Write } from '../../store/lane.ts';
import type { AuditPort } from '../catalog/records.ts';
import type { BulkAction, BulkOperation, BulkProgress } from './bulk-store.ts';
import type { Actor, RunOperations } from './operations.ts';
import type { RunStore } from './run-store.ts';
import type { RunFilters, RunStatus } from './stored-run.ts';

/** Runs that one look takes up: about 100 ms of work. */
const BATCH = 50;

/** Runs in other statuses take no such action: they are not counted. */
const STATUSES: { readonly [action in BulkAction]: readonly RunStatus[] } = {
  cancel: ['pending', 'running', 'waiting', 'paused'],
  pause: ['pending', 'running', 'waiting'],
  resume: ['paused'],
  retry: ['failed', 'canceled'],
  delete: ['completed', 'failed', 'canceled'],
};

export interface BulkRequest {
  readonly action: BulkAction;
  readonly filters: RunFilters;
  readonly step?: string;
  readonly fromStart?: boolean;
}

export interface BulkDeps {
  readonly store: RunStore;
  readonly operations: RunOperations;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly audit: AuditPort | undefined;
  readonly worker: string;
  /** Carries out what has been asked of these runs. */
  readonly carryOut: (runIds: readonly string[]) => Promise<void>;
}

/**
 * One action on many runs: counted first, then started by a token that stands for what was counted. Whichever process looks first goes through the runs;
 * each is changed in one commit with its outcome, so that one that is taken over by another process goes on where it stood and does nothing twice.
 *
 * @example
 * const { id, count, token } = await engine.bulk.prepare({ action: 'cancel', filters: { workflow: 'returns' } }, by);
 * await engine.bulk.start(id, token, by);
 */
export class BulkOperations {
  readonly #deps: BulkDeps;
  #working: Promise<void> | undefined;
  #stopped = false;

  constructor(deps: BulkDeps) {
    this.#deps = deps;
  }

  /** Counts the runs and keeps them. Nothing is done to them yet. @throws AiosError `workflow.bulk_too_large` */
  async prepare({ action, filters, step, fromStart = false }: BulkRequest, by: Actor): Promise<BulkProgress> {
    const { store, clock, limits } = this.#deps;
    const { bulkRunsMax } = limits;
    const statuses = STATUSES[action].filter((status) => !filters.status || status === filters.status);
    const runIds = await store.bulks.idsOf({ ...filters, statuses }, bulkRunsMax + 1);
    if (runIds.length > bulkRunsMax)
      throw new AiosError('workflow.bulk_too_large', {
        detail: `More than ${bulkRunsMax} runs fit the filter.`,
        extensions: { limitName: 'bulkRunsMax', limit: bulkRunsMax },
      });
    const createdAtMs = clock.now();
    const id = newId('blk', createdAtMs);
    const count = runIds.length;
    const idsDigest = createHash('sha256')
      .update(runIds.map((runId) => `${runId}\n`).join(''))
      .digest('hex');
    const bound = { id, action, filters, step: step ?? null, fromStart, count, idsDigest };
    const operation: BulkOperation = {
      ...bound,
      by,
      status: 'prepared',
      token: digestOf(bound as unknown as Json),
      createdAtMs,
      startedAtMs: null,
      endedAtMs: null,
    };
    await store.bulks.prepare(operation, runIds);
    return { ...operation, done: 0, skipped: {} };
  }

  /**
   * Starts what was prepared, with one audit entry for all of it. A second time it answers with how far it has come.
   *
   * @throws AiosError `workflow.bulk_not_found`, `workflow.bulk_stale`
   */
  async start(id: string, token: string, by: Actor): Promise<BulkProgress> {
    const { store, clock, audit } = this.#deps;
    const operation = await this.get(id);
    if (operation.token !== token) throw new AiosError('workflow.bulk_stale', { detail: id });
    if (operation.status !== 'prepared') return operation;
    const { action, filters, step, fromStart, count, idsDigest } = operation;
    const at = clock.now();
    const payload = { action, filters: filters as unknown as Json, step, fromStart, count, idsDigest };
    const recorded = audit?.({
      kind: 'bulk',
      action: `${action}-started`,
      actor: by,
      object: `bulk:${id}`,
      at,
      payload,
    });
    await store.commit.commit([store.bulks.start(id, at), ...(recorded ? [recorded] : [])]);
    this.look();
    return this.get(id);
  }

  /** @throws AiosError `workflow.bulk_not_found` */
  async get(id: string): Promise<BulkProgress> {
    const found = await this.#deps.store.bulks.find(id);
    if (found) return found;
    throw new AiosError('workflow.bulk_not_found', { detail: id });
  }

  list(limit: number): Promise<BulkProgress[]> {
    return this.#deps.store.bulks.list(limit);
  }

  /** Goes on with what is under way, if nobody else does. */
  look(): void {
    if (this.#stopped) return;
    // What fails is taken up again by a later look.
    this.#working ??= this.#work()
      .catch(() => {})
      .finally(() => {
        this.#working = undefined;
      });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#working;
  }

  async #work(): Promise<void> {
    const { store, worker, clock, carryOut } = this.#deps;
    while (!this.#stopped) {
      const next = await store.bulks.take(worker, BATCH);
      if (!next) return;
      const { operation, runIds } = next;
      if (runIds.length === 0) await store.bulks.complete(operation.id, clock.now());
      for (const runId of runIds) await this.#act(operation, runId);
      if (operation.action !== 'delete') await carryOut(runIds);
    }
  }

  /** The run's change and its outcome are one commit; what the run refuses is its outcome. */
  async #act(operation: BulkOperation, runId: string): Promise<void> {
    const { store } = this.#deps;
    const mark = newId('req');
    const record = (outcome: string) => store.bulks.record({ bulkId: operation.id, runId, outcome, mark });
    try {
      await store.commit.commit([...(await this.#writes(operation, runId)), record('done')]);
    } catch (error) {
      const { code, retryable } = toAiosError(error);
      if (retryable) throw error;
      await store.commit.commit([record(code)]);
    }
  }

  async #writes({ id, action, step, fromStart, by }: BulkOperation, runId: string): Promise<Write[]> {
    const { store, operations, clock } = this.#deps;
    if (action === 'delete') return [store.operations.remove(runId)];
    if (action === 'retry') {
      const back = { ...(step === null ? {} : { step }), fromStart, key: id };
      return operations.retryWrites(runId, back, by, false);
    }
    const requestId = derivedId('req', id, runId);
    return [store.operations.request({ runId, what: action, requestId, atMs: clock.now() })];
  }
}
