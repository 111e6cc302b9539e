import { setTimeout as sleep } from 'node:timers/promises';
import type { CloudEvent } from '../../../kernel/cloudevent.ts';
import { AiosError, toAiosError } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import type { Database } from '../../../store/database.ts';
import type { Committer } from '../../../store/group-commit.ts';
import { type Lane, Refused, type Write, write } from '../../../store/lane.ts';
import { columns } from '../../../store/rows.ts';
import { backOffMs } from '../../groups/retries.ts';
import type { EventLog } from '../../log.ts';
import { messageOf } from '../messages/message-mapping.ts';
import type { EventSource, SourceBatch } from '../port/event-source.ts';
import type { BridgeCounters } from './bridge-metrics.ts';
import type { Aside } from './letters.ts';
import type { Tolerance } from './tolerance.ts';

interface Dependencies {
  db: Database;
  commit: Committer;
  log: Pick<EventLog, 'write' | 'append'>;
  /** Holds an event to its contract. @throws AiosError when it does not fit */
  check(event: CloudEvent): unknown;
  /** What is written of an event that does not fit, with the place after it: it is passed, as far as that is tolerated. */
  reject(source: string, event: CloudEvent, error: AiosError): Aside;
  tolerance: Pick<Tolerance, 'room' | 'putAside' | 'stop'>;
  /** Whether a place that is kept is one of this protocol: a bridge of the name may have had another. */
  isPlace(position: JsonObject): boolean;
  /** Whose `batchMax` the source asks. */
  pace: Pace;
  counters: Pick<BridgeCounters, 'consumed' | 'deadLetter' | 'retried'>;
  onError: (source: string, error: AiosError) => void;
}

interface Place {
  position: JsonObject | undefined;
  revision: number;
}

interface Move {
  readonly name: string;
  readonly position: JsonObject;
  readonly revision: number;
  readonly passed: number;
  readonly rejected: number;
}

/** What a batch comes to. */
interface Taking {
  readonly writes: readonly Write[];
  /** What would be a dead letter, in order. */
  readonly letters: readonly { readonly event: CloudEvent; readonly error: AiosError }[];
}

/** A batch that holds more bad messages than are tolerated is read again, one by one, so that those before the first of them get through. */
const ONE_BY_ONE = new Error('read one by one');

/** How many messages a source may hand over at once: one at a time, for so many, after a batch that held a bad one. */
export class Pace {
  #single = 0;

  batchMax(): number {
    return this.#single > 0 ? 1 : Number.POSITIVE_INFINITY;
  }

  slow(count: number): void {
    this.#single = Math.max(this.#single, count);
  }

  passed(count: number): void {
    this.#single = Math.max(0, this.#single - count);
  }
}

/** A gate: a place that another process has moved is not moved, and the events of that commit fall out with it. */
const placeLane: Lane<Move> = {
  name: 'places of bridges',
  order: 29,
  gate: true,
  async write(tx, items) {
    const rows = await tx.query<{ name: string }>(
      `update bridges b set position = t.position, revision = b.revision + 1, passed = b.passed + t.passed,
         rejected = b.rejected + t.rejected, moved_at = clock_timestamp(), problem = null, problem_at = null
       from unnest($1::text[], $2::json[], $3::bigint[], $4::bigint[], $5::bigint[]) as t(name, position, revision, passed, rejected)
       where b.name = t.name and b.revision = t.revision returning b.name`,
      columns(items, ({ name, position, revision, passed, rejected }) => [
        name,
        JSON.stringify(position),
        revision,
        passed,
        rejected,
      ]),
    );
    const moved = new Set(rows.map(({ name }) => name));
    return items.map(({ name }) =>
      moved.has(name)
        ? undefined
        : new Refused(
            new AiosError('store.conflict', { detail: `The place of ${name} was moved meanwhile.` }),
          ),
    );
  },
};

/**
 * Takes the events of a source into the log: each batch, with the place after it, is one commit. Several processes may run one source: the place
 * is moved by one of them at a time, and the others go on from there.
 *
 * @example const runner = new SourceRunner(source, { db, commit, log, check, reject, tolerance, isPlace, pace, counters, onError }); runner.start(); await runner.stop()
 */
export class SourceRunner {
  readonly #source: EventSource;
  readonly #dependencies: Dependencies;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(source: EventSource, dependencies: Dependencies) {
    this.#source = source;
    this.#dependencies = dependencies;
  }

  start(): void {
    this.#running = this.#run(this.#stopping.signal);
  }

  /** The batch that is being committed is finished. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        if (failures > 0) this.#dependencies.counters.retried();
        let place = await this.#place();
        for await (const batch of this.#source.read(place.position, signal)) {
          await this.#take(batch, place.revision);
          place = { position: batch.position, revision: place.revision + 1 };
          failures = 0;
          await batch.acknowledge?.();
          if (signal.aborted) return;
        }
        await sleep(backOffMs(1), undefined, { signal }).catch(() => {});
      } catch (error) {
        if (signal.aborted) return;
        if (error === ONE_BY_ONE) continue;
        failures++;
        const problem = toAiosError(error);
        if (problem.code !== 'store.conflict') this.#dependencies.onError(this.#source.name, problem);
        await sleep(backOffMs(failures), undefined, { signal }).catch(() => {});
      }
    }
  }

  async #place(): Promise<Place> {
    const { db, isPlace } = this.#dependencies;
    const { name } = this.#source;
    await db.query('insert into bridges (name) values ($1) on conflict do nothing', [name]);
    const [row] = await db.query<{ position: JsonObject | null; revision: number }>(
      'select position, revision from bridges where name = $1',
      [name],
    );
    const { position, revision } = row!;
    return { position: position && isPlace(position) ? position : undefined, revision };
  }

  /** A commit that the database refuses for what an event holds is made again without the events that it refuses alone. */
  async #take(batch: SourceBatch, revision: number): Promise<void> {
    const { log, pace } = this.#dependencies;
    const { events, rejected = [] } = batch;
    const count = events.length + rejected.length;
    try {
      await this.#commit(batch, revision);
    } catch (error) {
      const problem = toAiosError(error);
      if (problem.code !== 'store.refused_value') throw error;
      // Some of them may have to wait behind a bad one: what is appended alone is not taken back.
      if (count > 1 && (await this.#dependencies.tolerance.room(count)) < count) this.#slowDown(count);
      const fitting = events.filter((event) => !this.#faultOf(event));
      const refused = new Map<string, AiosError>();
      for (const [index, outcome] of (await log.append(fitting)).entries())
        if (outcome.status === 'rejected') {
          const { id, source } = fitting[index]!;
          refused.set(`${source}\0${id}`, toAiosError(outcome.reason));
        }
      await this.#commit(batch, revision, refused);
    }
    pace.passed(count);
  }

  async #commit(
    batch: SourceBatch,
    revision: number,
    refused?: ReadonlyMap<string, AiosError>,
  ): Promise<void> {
    const { commit, tolerance, counters } = this.#dependencies;
    const { writes, letters } = this.#taking(batch, revision, refused);
    if (letters.length > 0) await this.#tolerate(batch, letters);
    await commit.commit([...writes]);
    tolerance.putAside(letters.length);
    counters.consumed(batch.events.length + (batch.rejected?.length ?? 0));
    for (const { error } of letters) counters.deadLetter(error.code);
  }

  async #tolerate({ events, rejected = [] }: SourceBatch, letters: Taking['letters']): Promise<void> {
    const { tolerance } = this.#dependencies;
    if (letters.length <= (await tolerance.room(letters.length))) return;
    const count = events.length + rejected.length;
    if (count > 1) this.#slowDown(count);
    const [{ event, error }] = letters as [Taking['letters'][number]];
    throw tolerance.stop(whereIs(event), error);
  }

  /** Unless it is slow already: then its source hands over what it has, and stands at all of it. */
  #slowDown(count: number): void {
    const { pace } = this.#dependencies;
    if (pace.batchMax() === 1) return;
    pace.slow(count);
    throw ONE_BY_ONE;
  }

  #faultOf(event: CloudEvent): AiosError | undefined {
    try {
      this.#dependencies.check(event);
      return undefined;
    } catch (error) {
      return toAiosError(error);
    }
  }

  #taking(
    { events, rejected = [], position }: SourceBatch,
    revision: number,
    refused?: ReadonlyMap<string, AiosError>,
  ): Taking {
    const { log, reject } = this.#dependencies;
    const { name } = this.#source;
    const writes: Write[] = [];
    const letters: { event: CloudEvent; error: AiosError }[] = [];
    let aside = 0;
    const putAside = (event: CloudEvent, error: AiosError) => {
      const { write: kept, isLetter } = reject(name, event, error);
      aside++;
      writes.push(kept);
      if (isLetter) letters.push({ event, error });
    };
    for (const event of events) {
      const fault = this.#faultOf(event) ?? refused?.get(`${event.source}\0${event.id}`);
      if (fault) putAside(event, fault);
      else writes.push(log.write(event));
    }
    for (const { letter, error } of rejected) putAside(letter, error);
    const passed = events.length + rejected.length - aside;
    return {
      writes: [write(placeLane, { name, position, revision, passed, rejected: aside }), ...writes],
      letters,
    };
  }
}

/** A message as people find it where it came from: its place there, or the id of what is an event already. */
function whereIs(event: CloudEvent): string {
  const message = messageOf(event);
  if (!message) return `the event ${event.id} of ${event.source}`;
  return `the message ${message.id} of ${message.topic}, at ${JSON.stringify(message.position)}`;
}
