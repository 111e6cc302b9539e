import { digestOf } from '../../kernel/canonical.ts';
import type { Clock } from '../../kernel/clock.ts';
import { AiosError } from '../../kernel/errors.ts';
import { derivedId, newId } from '../../kernel/ids.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Write } from '../../store/lane.ts';
import type { AuditPort } from '../catalog/records.ts';
import { type StepNode, stepIdOf, stepsById } from '../language/flow.ts';
import type { Agenda } from './agenda.ts';
import type { LoadedFlow } from './flows.ts';
import { SENT, SentBefore } from './idempotency.ts';
import { type LifecycleDeps, tellRequest } from './lifecycle.ts';
import { notEnded, type RequestKind } from './operation-store.ts';
import type { QueuePlaces } from './queue-places.ts';
import { EDITED } from './recorder.ts';
import { type Rewound, rewind, rewindToEnd } from './rewind.ts';
import type { QueuePlace } from './stored-run.ts';
import { ENDED, type Entry, type PayloadRef, type StoredRun } from './stored-run.ts';

/** Who does something to a run: a key, a session, a person, or AIOS itself. */
export interface Actor {
  readonly kind: string;
  readonly id: string;
}

const SYSTEM: Actor = { kind: 'system', id: 'aios' };

/** How often a run is looked at for a request to be carried out, 10 ms apart; a step under way may take longer. */
const CARRIED_OUT_TRIES = 50;

/** The words of the audit log. */
const DONE: { readonly [what in RequestKind]: string } = {
  cancel: 'canceled',
  pause: 'paused',
  resume: 'resumed',
};

/** Where a run goes back to: a step, its start, or without either where it failed or was canceled. */
export interface RetryRequest {
  /** The key of a step, `pay` or `each[2]/pay`. */
  readonly step?: string;
  readonly fromStart?: boolean;
  readonly input?: Json;
  /** The same key, the same request: it is done once. */
  readonly key?: string;
}

export interface OperationDeps extends LifecycleDeps {
  readonly agenda: Agenda;
  readonly clock: Clock;
  readonly audit: AuditPort | undefined;
  readonly places: QueuePlaces;
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

  /**
   * Answers a step that waits, or will: ends a `wait`, or gives a function of the program that embeds AIOS its answer; the first answer stands. What people,
   * events or other runs answer is theirs alone: an answer of a person has its task and its audit entry, a signal would have neither.
   *
   * @throws AiosError `workflow.run_not_found`, `workflow.ended`, `workflow.signal_refused`
   * @example await engine.operations.signal('run_…', { step: 'cool-down' }, { kind: 'key', id: 'key_…' })
   */
  async signal(
    runId: string,
    { step, payload = null }: { step: string; payload?: Json | undefined },
    by: Actor = SYSTEM,
  ): Promise<void> {
    const { store, flows, agenda } = this.#deps;
    const { workflow, version, status } = await this.#find(runId);
    if (ENDED.has(status)) throw new AiosError('workflow.ended', { detail: `${runId} is ${status}.` });
    const { flow } = await flows.version(workflow, version);
    const refusal = whyNoSignal(stepsById(flow).get(stepIdOf(step)));
    if (refusal) throw new AiosError('workflow.signal_refused', { detail: `${step}: ${refusal}.` });
    const told = { step, payloadDigest: digestOf(payload) };
    await store.commit.commit([
      store.signal({ runId, key: step, payload }),
      ...this.#audited('signaled', runId, by, told),
    ]);
    await agenda.take([runId]);
  }

  /**
   * Lets an ended run go back to a step and on from there, under its next attempt. What it had recorded before that step is kept; the attempt so far stays
   * readable. `input` replaces what the step is given: the arguments of a call, the input of another step, that of the run from its start.
   *
   * @throws AiosError `workflow.run_not_found`, `workflow.not_ended`, `workflow.step_not_reached`, `request.invalid`, `store.conflict`
   * @example await engine.operations.retry('run_…', { step: 'refund', input: { cents: 500 } }, by)
   */
  async retry(runId: string, request: RetryRequest = {}, by: Actor = SYSTEM): Promise<void> {
    const { store, agenda } = this.#deps;
    await store.commit.commit(await this.retryWrites(runId, request, by));
    await agenda.take([runId]);
  }

  /** The writes of `retry`, its audit entry among them unless it is part of something larger. */
  async retryWrites(runId: string, request: RetryRequest, by: Actor, audited = true): Promise<Write[]> {
    const { store, flows, clock } = this.#deps;
    const run = await this.#find(runId);
    const { key, fromStart, input } = request;
    const requestId = key === undefined ? newId('req') : derivedId('req', runId, key);
    if (run.request === requestId) return [];
    if (!ENDED.has(run.status)) throw notEnded(runId, run.status);
    const [entries, keys, loaded] = await Promise.all([
      store.operations.journal(runId),
      store.operations.signalKeys(runId),
      flows.version(run.workflow, run.version),
    ]);
    const back = goBack(run, entries, request);
    const before = new SentBefore(entries.find(({ k }) => k === SENT)?.o, run.attempt);
    const sent = before.with(await this.#whole(runId, back.dropped), loaded.flow);
    const atMs = clock.now();
    const given = fromStart ? input : undefined;
    const rewind = store.operations.rewind({
      runId,
      epoch: run.epoch,
      requestId,
      atMs,
      entries: [...editedEntries(back, request), { k: SENT, o: sent as Json }],
      input: given,
      queue: this.#place(loaded, run, given, atMs),
      signals: signalsDropped(keys, back),
      step: back.step,
      by: by.id,
    });
    const told = await tellRequest(this.#deps, 'resumed', { runId, requestId, atMs });
    if (!audited) return [rewind, ...told];
    return [
      rewind,
      ...told,
      ...this.#audited('retried', runId, by, {
        attempt: run.attempt + 1,
        step: back.step,
        ...inputDigest(input),
      }),
    ];
  }

  /**
   * Starts a new run of the same version from the journal of another one up to a step; that one stays as it is. Whatever the new run does to the outside it
   * does under idempotency keys of its own. Answers with its id.
   *
   * @throws AiosError `workflow.run_not_found`, `workflow.step_not_reached`, `request.invalid`
   */
  async fork(runId: string, request: RetryRequest = {}, by: Actor = SYSTEM): Promise<string> {
    const { store, flows, agenda, clock } = this.#deps;
    const from = await this.#find(runId);
    const back = goBack(from, await store.operations.journal(runId), request);
    const atMs = clock.now();
    const { key, fromStart, input } = request;
    const id = newId('run', atMs);
    const idempotencyKey = key === undefined ? null : `fork/${runId}/${key}`;
    const known = idempotencyKey === null ? undefined : await store.findByKey(from.workflow, idempotencyKey);
    if (known) return known.id;
    const given = fromStart ? input : undefined;
    const loaded = await flows.version(from.workflow, from.version);
    const fork = store.operations.fork({
      id,
      from,
      entries: editedEntries(back, request),
      input: given,
      queue: this.#place(loaded, from, given, atMs),
      step: back.step,
      idempotencyKey,
      atMs,
    });
    const payload = { from: runId, step: back.step, ...inputDigest(input) };
    await store.commit.commit([fork, ...this.#audited('forked', id, by, payload)]);
    await agenda.take([id]);
    return id;
  }

  /** Deletes an ended run and its journal; its audit entries and costs stay. @throws AiosError `workflow.run_not_found`, `workflow.not_ended` */
  async remove(runId: string, by: Actor = SYSTEM): Promise<void> {
    const { store } = this.#deps;
    const run = await this.#find(runId);
    const { workflow, version, status } = run;
    const audited = this.#audited('deleted', runId, by, { workflow, version, status });
    await store.commit.commit([store.operations.remove(runId), ...audited]);
  }

  /** What was done before frees nobody's place: a run that goes on again waits in the queue of its flow, behind those that wait already. */
  #place(
    loaded: LoadedFlow,
    { origin }: StoredRun,
    input: Json | undefined,
    nowMs: number,
  ): QueuePlace | undefined {
    const again = input === undefined ? origin : { ...origin, input };
    return this.#deps.places.placed(loaded, again, nowMs).queue;
  }

  /** Entries with the large values that lie apart: what was sent is compared as a whole. */
  async #whole(runId: string, entries: readonly Entry[]): Promise<Entry[]> {
    const whole: Entry[] = [];
    const read = async (ref: PayloadRef) => (await this.#deps.store.payload(runId, ref.digest)) ?? null;
    for (const entry of entries) {
      const { ir, or } = entry;
      whole.push({ ...entry, ...(ir ? { i: await read(ir) } : {}), ...(or ? { o: await read(or) } : {}) });
    }
    return whole;
  }

  async #find(runId: string): Promise<StoredRun> {
    const run = await this.#deps.store.find(runId);
    if (run) return run;
    throw new AiosError('workflow.run_not_found', { detail: runId });
  }

  async #request(runId: string, what: RequestKind, by: Actor): Promise<void> {
    const { store, agenda, clock } = this.#deps;
    const atMs = clock.now();
    const request = { runId, what, requestId: newId('req', atMs), atMs };
    const change = what === 'pause' ? 'suspended' : 'resumed';
    // A cancel is told at the end of the run.
    const told = what === 'cancel' ? [] : await tellRequest(this.#deps, change, request);
    const asked = store.operations.request(request);
    await store.commit.commit([asked, ...this.#audited(DONE[what], runId, by, {}), ...told]);
    await agenda.take([runId]);
    // The agenda may have been quicker, or another process holds the run: those who asked see what came of it, most often.
    for (let tries = 0; tries < CARRIED_OUT_TRIES; tries++) {
      if (!(await store.find(runId))?.requested) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #audited(action: string, runId: string, actor: Actor, payload: JsonObject): Write[] {
    const { audit, clock } = this.#deps;
    if (!audit) return [];
    return [audit({ kind: 'run', action, actor, object: `run:${runId}`, at: clock.now(), payload })];
  }
}

/** An input that an operator gave may hold data of people: the journal has it and goes with the run, the audit log has its digest. */
function inputDigest(input: Json | undefined): JsonObject {
  return input === undefined ? {} : { inputDigest: digestOf(input) };
}

/** Why a step takes no signal of an operator; nothing for one that does. */
function whyNoSignal(step: StepNode | undefined): string | undefined {
  if (!step) return 'the flow has no such step';
  switch (step.type) {
    case 'wait':
      return undefined;
    case 'listen':
      return 'it waits for an event';
    case 'run':
      return 'it waits for another run';
    case 'call':
      return step.primitive.kind === 'wait' ? step.primitive.answeredBy : 'it waits for nothing';
    default:
      return 'it waits for nothing';
  }
}

/** @throws AiosError `workflow.step_not_reached`, `request.invalid` */
function goBack(
  run: StoredRun,
  entries: readonly Entry[],
  { step, fromStart, input }: RetryRequest,
): Rewound {
  if (fromStart && step !== undefined) throw invalid('Either a step or fromStart, not both.');
  if (fromStart) return { step: '', kept: [], dropped: entries };
  if (step !== undefined) {
    const back = rewind(entries, step);
    if (back) return back;
    throw new AiosError('workflow.step_not_reached', { detail: `“${step}” in ${run.id}.` });
  }
  if (!ENDED.has(run.status) || run.status === 'completed')
    throw invalid(`${run.id} is ${run.status}: name the step to go back to.`);
  const back = rewindToEnd(entries, run.result?.error);
  if (back.step === '' && input !== undefined) throw invalid('An input needs the step that it is for.');
  return back;
}

function invalid(detail: string): AiosError {
  return new AiosError('request.invalid', { detail });
}

function editedEntries({ step, kept }: Rewound, { fromStart, input }: RetryRequest): Entry[] {
  if (input === undefined || fromStart) return [...kept];
  return [...kept, { k: `${step}${EDITED}`, o: input }];
}

/** Keys of the signals that were for steps which are done anew: a late second answer must not answer the next question. */
function signalsDropped(keys: readonly string[], { dropped }: Rewound): string[] {
  const anew = new Set(dropped.map(({ k }) => k.replace(/\^open$/, '')));
  return keys.filter((key) => anew.has(key) || anew.has(key.replace(/\^on\/.*$/, '')));
}
