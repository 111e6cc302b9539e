import { randomUUID } from 'node:crypto';
import type { Limits } from '../../kernel/limits.ts';
import type { Queryable } from '../../store/database.ts';
import type { Write } from '../../store/lane.ts';
import { writeInTransaction } from '../../store/write-in-transaction.ts';
import type { OpenLineageEvent } from './event.ts';
import type { Naming } from './naming.ts';
import { type Outbox, runsOf, tellWrite, type Waiting } from './outbox.ts';
import { type LineageSink, type ToldKind, tells, tellsRun, tellsRuns } from './sink-kind.ts';
import { type ToldRun, type Work, workEvents, workOfRun } from './work-events.ts';

/** What became of sending: taken, refused for good, or to be sent again. */
export type Sent =
  | { readonly ok: true }
  | { readonly ok: false; readonly problem: string; readonly isFinal: boolean };

interface Dependencies {
  readonly outbox: Outbox;
  readonly db: Queryable;
  readonly limits: Pick<
    Limits,
    'lineagePollMs' | 'lineageRunningMs' | 'lineageBatchMax' | 'lineageOutboxMax' | 'lineageSendMs'
  >;
  readonly naming: Naming;
  readonly version: string;
  sinks(): readonly LineageSink[];
  send(sink: LineageSink, event: OpenLineageEvent): Promise<Sent>;
  /** Passes and builds of datasets that are under way, or have ended and were not told of. */
  work(): Promise<readonly Work[]>;
  /**
   * Runs that have been under way for a while, and were not told of under all of these names.
   *
   * @param sinceMs how long ago they were looked for; undefined for the first time
   */
  runs(sources: readonly string[], sinceMs: number | undefined): AsyncIterable<ToldRun>;
  readonly onError: (error: unknown) => void;
}

const TRAINING = new Set(['DATASET', 'TRAINING']);
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 300_000;
const LEASE_SENDS = 6; // an event of a run is two requests

/**
 * Sends OpenLineage events to the sinks. What is told is in the outbox since the transaction that did it, and leaves it when the receiver has taken it: nothing is
 * lost over restarts, and something may be sent twice when a process dies between the two.
 */
export class OpenLineageRelay {
  readonly #deps: Dependencies;
  readonly #owner = randomUUID();
  /** Sinks whose outbox is at the limit: runs are left out until it is sent. */
  readonly #full = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #passing: Promise<void> = Promise.resolve();
  #isEnding = false;
  #claimedAtMs = 0;
  #runsAtMs: number | undefined;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
  }

  /** The write that tells the sinks of a run, for the commit in which it ends; for each sink that is to be told. */
  runEnded(run: ToldRun, writes: Write[]): void {
    for (const sink of this.#deps.sinks()) {
      const { id, workflow, status } = run;
      if (!this.#full.has(sink.name) && tellsRun(sink, { id, workflow, failed: status === 'failed' }))
        writes.push(tellWrite(sink.name, { run }));
    }
  }

  /** True when there is anybody to tell: what costs something to say is not said otherwise. */
  get hasSinks(): boolean {
    return this.#deps.sinks().length > 0;
  }

  /** The writes that tell of definitions, for the commit that applies them. */
  eventsWrites(kind: ToldKind, events: readonly OpenLineageEvent[]): Write[] {
    return this.#told(kind).map((sink) => tellWrite(sink.name, { events }));
  }

  #workWrites(work: Work, isStarted: boolean): Write[] {
    return this.#told(TRAINING.has(work.type) ? 'trainings' : 'passes').map((sink) =>
      tellWrite(sink.name, { work, isStarted }),
    );
  }

  #told(kind: ToldKind): LineageSink[] {
    return this.#deps.sinks().filter((sink) => tells(sink, kind));
  }

  begin(): void {
    this.#timer = setInterval(() => void this.pass(), this.#deps.limits.lineagePollMs).unref();
  }

  async stop(): Promise<void> {
    this.#isEnding = true;
    clearInterval(this.#timer);
    await this.#passing;
    if (this.#timer) await this.#deps.outbox.release(this.#owner).catch(this.#deps.onError);
  }

  /** One look at everything; while one is under way, the next waits for it. */
  pass(): Promise<void> {
    this.#passing = this.#passing
      .then(() => this.#pass())
      .catch((error: unknown) => this.#deps.onError(error));
    return this.#passing;
  }

  async #pass(): Promise<void> {
    const sinks = this.#deps.sinks();
    if (sinks.length === 0 || this.#isEnding) return;
    await this.#tellPasses();
    await this.#tellRuns(sinks.filter(tellsRuns));
    for (const sink of sinks) while (!this.#isEnding && (await this.#sendSome(sink)));
  }

  async #tellPasses(): Promise<void> {
    const { outbox, limits } = this.#deps;
    for (const work of await this.#deps.work())
      await outbox.tellWork(work, limits.lineageRunningMs, async (tx, toldAt) => {
        await writeInTransaction(tx, this.#workWrites(noOlder(work, toldAt), toldAt !== undefined));
      });
  }

  /** Those that wait for days are seen meanwhile; most are over before anybody looks. */
  async #tellRuns(sinks: readonly LineageSink[]): Promise<void> {
    const nowMs = performance.now();
    const sinceMs = this.#runsAtMs === undefined ? undefined : nowMs - this.#runsAtMs;
    if (sinks.length === 0 || (sinceMs ?? Infinity) < this.#deps.limits.lineageRunningMs) return;
    const sources = sinks.map(({ name }) => runsOf(name));
    for await (const run of this.#deps.runs(sources, sinceMs))
      for (const sink of this.#isEnding ? [] : sinks)
        if (!this.#full.has(sink.name) && tellsRun(sink, { ...run, failed: false }))
          await this.#deps.outbox.tellRun(sink.name, run);
    this.#runsAtMs = nowMs;
  }

  /** @returns true when there may be more to send now */
  async #sendSome(sink: LineageSink): Promise<boolean> {
    const { outbox, limits } = this.#deps;
    if (!(await this.#claim(sink))) return false;
    await this.#measure(sink);
    const batch = await outbox.waiting(sink.name, limits.lineageBatchMax);
    if (batch.length === 0) return false;
    const [sent, refused]: [number[], { id: number; problem: string }[]] = [[], []];
    let problem: string | undefined;
    for (const each of batch) {
      if (this.#isEnding || !(await this.#isHeld(sink))) break;
      const outcome = await this.#sendOne(sink, each);
      if (outcome.ok) sent.push(each.id);
      else if (outcome.isFinal) refused.push({ id: each.id, problem: outcome.problem });
      else {
        problem = outcome.problem;
        break;
      }
    }
    const attempts = problem === undefined ? 0 : await outbox.attempts(sink.name);
    const failure =
      problem === undefined
        ? undefined
        : { problem, afterMs: Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(attempts, 20)) };
    await outbox.settle(sink.name, sent, refused, failure);
    return problem === undefined && batch.length === limits.lineageBatchMax;
  }

  /** For as long as a few events may take; who dies is followed by another process then. */
  async #claim({ name }: LineageSink): Promise<boolean> {
    this.#claimedAtMs = performance.now();
    return this.#deps.outbox.claim(name, this.#owner, LEASE_SENDS * this.#deps.limits.lineageSendMs);
  }

  /** The lease goes on while events are sent. */
  async #isHeld(sink: LineageSink): Promise<boolean> {
    return performance.now() - this.#claimedAtMs < this.#deps.limits.lineageSendMs || this.#claim(sink);
  }

  async #sendOne(sink: LineageSink, { told }: Waiting): Promise<Sent> {
    for (const event of await this.#eventsOf(sink, told)) {
      const outcome = await this.#deps
        .send(sink, event)
        .catch((error: Error): Sent => ({ ok: false, problem: error.message, isFinal: false }));
      if (!outcome.ok) return outcome;
    }
    return { ok: true };
  }

  async #eventsOf(sink: LineageSink, told: Waiting['told']): Promise<readonly OpenLineageEvent[]> {
    const { naming, version } = this.#deps;
    if ('events' in told) return told.events;
    if ('work' in told) {
      const [, ...above] = await this.#waitFor(told.work.parent?.id);
      return workEvents(withRoot(told.work, above.at(-1)), naming, version, told.isStarted);
    }
    return this.#eventsOfRun(sink, told.run);
  }

  async #eventsOfRun(sink: LineageSink, run: ToldRun): Promise<readonly OpenLineageEvent[]> {
    const { db, outbox, naming, version } = this.#deps;
    const [emitted, [parent, ...above], toldAt] = await Promise.all([
      db.query<{ id: string }>(
        `select to_id as id from lineage_edges where from_id = $1 and until is null and to_id like 'event-type:%' order by to_id`,
        [`workflow:${run.workflow}`],
      ),
      this.#waitFor(run.parentRunId),
      run.status === 'running' ? undefined : outbox.runToldAt(sink.name, run.id),
    ]);
    const work = workOfRun(
      run,
      emitted.map(({ id }) => id),
      parent?.job,
    );
    const told = noOlder(withRoot(work, above.at(-1)), toldAt);
    return workEvents(told, naming, version, toldAt !== undefined);
  }

  /** A run, the one that waits for it, and so on to the outermost. */
  async #waitFor(id: string | undefined): Promise<readonly { id: string; job: string }[]> {
    if (id === undefined) return [];
    return this.#deps.db.query(
      `with recursive up as (
         select id, workflow, origin #>> '{parent,runId}' as parent, 1 as depth from workflow_runs where id = $1
         union all
         select r.id, r.workflow, r.origin #>> '{parent,runId}', depth + 1 from up join workflow_runs r on r.id = up.parent)
       select id, 'workflow:' || workflow as job from up order by depth`,
      [id],
    );
  }

  async #measure({ name }: LineageSink): Promise<void> {
    const { outbox, limits } = this.#deps;
    const isFull =
      (await outbox.waiting(name, 1)).length > 0 && (await this.#count(name)) >= limits.lineageOutboxMax;
    if (isFull) this.#full.add(name);
    else this.#full.delete(name);
  }

  async #count(name: string): Promise<number> {
    const status = await this.#deps.outbox.status(this.#deps.limits.lineageOutboxMax);
    return status.find(({ sink }) => sink === name)?.waiting ?? 0;
  }
}

/** An end is dated by when its transaction or process says that it was: not before what was told meanwhile, or receivers would take that for the newest. */
function noOlder(work: Work, toldAt = work.startedAt): Work {
  return { ...work, at: Math.max(work.at, toldAt) };
}

function withRoot(work: Work, root: { id: string; job: string } | undefined): Work {
  return work.parent && root ? { ...work, parent: { ...work.parent, root } } : work;
}
