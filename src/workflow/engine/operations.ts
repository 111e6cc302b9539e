import type { Clock } from '../../kernel/clock.ts';
import { newId } from '../../kernel/ids.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Write } from '../../store/group-commit.ts';
import type { AuditPort } from '../catalog/records.ts';
import type { Agenda } from './agenda.ts';
import type { RequestKind } from './operation-store.ts';
import type { RunStore } from './run-store.ts';

/** Who does something to a run: a key, a session, a person, or AIOS itself. */
export interface Actor {
  readonly kind: string;
  readonly id: string;
}

const SYSTEM: Actor = { kind: 'system', id: 'aios' };

/** The words of the audit log. */
const DONE: { readonly [what in RequestKind]: string } = {
  cancel: 'canceled',
  pause: 'paused',
  resume: 'resumed',
};

export interface OperationDeps {
  readonly store: RunStore;
  readonly agenda: Agenda;
  readonly clock: Clock;
  readonly audit: AuditPort | undefined;
}

/**
 * What operators do to runs. Each is one commit with its audit entry; whichever process is nearest carries it out, this one at once when it can,
 * another one at its next look.
 *
 * @example await engine.operations.cancel('run_…', { kind: 'key', id: 'key_…' })
 */
export class RunOperations {
  readonly #deps: OperationDeps;

  constructor(deps: OperationDeps) {
    this.#deps = deps;
  }

  /**
   * Ends a run as canceled: what it waits for is closed, what it is doing is aborted, runs that it waits for are canceled, and the handlers of
   * cancellation around its steps are run. A second time, while those run, ends it at once.
   *
   * @throws AiosError `workflow.run_not_found`, `workflow.ended`
   */
  cancel(runId: string, by: Actor = SYSTEM): Promise<void> {
    return this.#request(runId, 'cancel', by);
  }

  /**
   * Stops a run before its next step, also in the middle of a wait; what it waits for may come meanwhile and is kept.
   *
   * @throws AiosError `workflow.run_not_found`, `workflow.ended`
   */
  pause(runId: string, by: Actor = SYSTEM): Promise<void> {
    return this.#request(runId, 'pause', by);
  }

  /** Lets a paused run go on; timers that rang meanwhile ring now. @throws AiosError `workflow.run_not_found`, `workflow.not_paused` */
  resume(runId: string, by: Actor = SYSTEM): Promise<void> {
    return this.#request(runId, 'resume', by);
  }

  async #request(runId: string, what: RequestKind, by: Actor): Promise<void> {
    const { store, agenda, clock } = this.#deps;
    const atMs = clock.now();
    const request = store.operations.request({ runId, what, requestId: newId('req', atMs), atMs });
    await store.commit.commit([request, ...this.#audited(DONE[what], runId, by, {})]);
    await agenda.take([runId]);
  }

  #audited(action: string, runId: string, actor: Actor, payload: JsonObject): Write[] {
    const { audit, clock } = this.#deps;
    if (!audit) return [];
    return [audit({ kind: 'run', action, actor, object: `run:${runId}`, at: clock.now(), payload })];
  }
}
