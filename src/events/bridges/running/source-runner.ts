import { setTimeout as sleep } from 'node:timers/promises';
import type { CloudEvent } from '../../../kernel/cloudevent.ts';
import { AiosError, toAiosError } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import type { Database } from '../../../store/database.ts';
import { type Committer, type Lane, Refused, type Write, write } from '../../../store/group-commit.ts';
import { columns } from '../../../store/rows.ts';
import { backOffMs } from '../../groups/retries.ts';
import type { EventLog } from '../../log.ts';
import type { EventSource, SourceBatch } from '../port/event-source.ts';

interface Dependencies {
  db: Database;
  commit: Committer;
  log: Pick<EventLog, 'write' | 'append'>;
  /** Holds an event to its contract. @throws AiosError when it does not fit */
  check(event: CloudEvent): unknown;
  /** What is written of an event that does not fit, with the place after it: it is passed, or the source would stand still. */
  reject(source: string, event: CloudEvent, error: AiosError): readonly Write[];
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
 * @example const runner = new SourceRunner(source, { db, commit, log, check, reject, onError }); runner.start(); await runner.stop()
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
        failures++;
        const problem = toAiosError(error);
        if (problem.code !== 'store.conflict') this.#dependencies.onError(this.#source.name, problem);
        await sleep(backOffMs(failures), undefined, { signal }).catch(() => {});
      }
    }
  }

  async #place(): Promise<Place> {
    const { db } = this.#dependencies;
    const { name } = this.#source;
    await db.query('insert into bridges (name) values ($1) on conflict do nothing', [name]);
    const [row] = await db.query<{ position: JsonObject | null; revision: number }>(
      'select position, revision from bridges where name = $1',
      [name],
    );
    return { position: row!.position ?? undefined, revision: row!.revision };
  }

  /** A commit that the database refuses for what an event holds is made again without the events that it refuses alone. */
  async #take(batch: SourceBatch, revision: number): Promise<void> {
    const { commit, log } = this.#dependencies;
    try {
      await commit.commit(this.#writes(batch, revision));
    } catch (error) {
      const problem = toAiosError(error);
      if (problem.code !== 'store.refused_value') throw error;
      const fitting = batch.events.filter((event) => !this.#faultOf(event));
      const refused = new Map<string, AiosError>();
      for (const [index, outcome] of (await log.append(fitting)).entries())
        if (outcome.status === 'rejected') {
          const { id, source } = fitting[index]!;
          refused.set(`${source}\0${id}`, toAiosError(outcome.reason));
        }
      await commit.commit(this.#writes(batch, revision, refused));
    }
  }

  #faultOf(event: CloudEvent): AiosError | undefined {
    try {
      this.#dependencies.check(event);
      return undefined;
    } catch (error) {
      return toAiosError(error);
    }
  }

  #writes(
    { events, rejected = [], position }: SourceBatch,
    revision: number,
    refused?: ReadonlyMap<string, AiosError>,
  ): Write[] {
    const { log, reject } = this.#dependencies;
    const { name } = this.#source;
    const writes: Write[] = [];
    let aside = rejected.length;
    for (const event of events) {
      const fault = this.#faultOf(event) ?? refused?.get(`${event.source}\0${event.id}`);
      if (fault) {
        aside++;
        writes.push(...reject(name, event, fault));
      } else writes.push(log.write(event));
    }
    for (const { letter, error } of rejected) writes.push(...reject(name, letter, error));
    const passed = events.length + rejected.length - aside;
    return [write(placeLane, { name, position, revision, passed, rejected: aside }), ...writes];
  }
}
