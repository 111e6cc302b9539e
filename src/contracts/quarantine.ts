import { metrics } from '@opentelemetry/api';
import type { Clock } from '../kernel/clock.ts';
import type { CloudEvent } from '../kernel/cloudevent.ts';
import { AiosError, type Problem } from '../kernel/errors.ts';
import { derivedId } from '../kernel/ids.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database } from '../store/database.ts';
import type { Committer } from '../store/group-commit.ts';
import { plannedLane, type Write, write } from '../store/lane.ts';
import { type LargePage, largePage } from '../store/large-pages.ts';
import { columns, timestamp } from '../store/rows.ts';
import { seenLane } from './seen-lane.ts';

/** An event that its contract keeps apart: not in the log, seen by no consumer, not lost. */
interface QuarantinedEvent {
  id: string;
  contract: string;
  /** Of the contract that it was held to. */
  version: string;
  event: CloudEvent;
  problem: Problem;
  /** Milliseconds since the epoch. */
  arrivedAt: number;
  status: 'open' | 'released' | 'discarded';
  resolvedAt: number | null;
  resolvedBy: string | null;
  reason: string | null;
}

interface Resolution {
  id: string;
  status: 'released' | 'discarded';
  at: number;
  by: string;
  reason: string;
}

type Arrival = Pick<QuarantinedEvent, 'id' | 'contract' | 'version' | 'event' | 'problem' | 'arrivedAt'>;

const counter = metrics.getMeter('aios.contracts').createCounter('aios.contracts.quarantined', {
  description: 'Events that a contract kept apart',
  unit: '{event}',
});

/**
 * An event that comes again while it is kept is kept once, and one that was released is in the log. One that was discarded stays so when it is sent again; with other
 * data it is for somebody to look at, whatever its id.
 */
const arrivalLane = plannedLane<Arrival>({
  name: 'quarantine',
  order: 33,
  plan: (items) => ({
    statements: [
      {
        text: `insert into quarantined_events as q (id, contract, version, event, problem, arrived_at, status)
          select id, contract, version, event, problem, arrived_at, 'open' from (
            select distinct on (id) * from unnest($1::text[], $2::text[], $3::text[], $4::json[], $5::json[], $6::timestamptz[])
              with ordinality as t(id, contract, version, event, problem, arrived_at, nth) order by id, nth) arrived
          order by nth
          on conflict (id) do update set contract = excluded.contract, version = excluded.version, event = excluded.event, problem = excluded.problem,
            arrived_at = excluded.arrived_at, arrival = default, status = 'open', resolved_at = null, resolved_by = null, reason = null
          where q.status = 'discarded' and (q.event -> 'data')::text is distinct from (excluded.event -> 'data')::text`,
        values: columns(items, ({ id, contract, version, event, problem, arrivedAt }) => [
          id,
          contract,
          version,
          JSON.stringify(event),
          JSON.stringify(problem),
          timestamp(arrivedAt),
        ]),
      },
    ],
  }),
});

/** Of two who resolve an event at one time one does: what is discarded is not appended, and what is told of it is what became of it. */
const resolutionLane = seenLane<Resolution>(
  'quarantine resolutions',
  async (tx, { id, status, at, by, reason }) => {
    const resolved = await tx.query(
      `update quarantined_events set status = $2, resolved_at = $3, resolved_by = $4, reason = $5 where id = $1 and status = 'open' returning 1`,
      [id, status, timestamp(at), by, reason],
    );
    return resolved.length > 0;
  },
);

const COLUMNS = `id, contract, version, event, problem, arrived_at as "arrivedAt", status, resolved_at as "resolvedAt", resolved_by as "resolvedBy", reason`;

interface Dependencies {
  db: Database;
  commit: Committer;
  clock: Clock;
  limits: Pick<Limits, 'pageBytesMax'>;
  /** Holds an event to its contract; throws when it does not fit. */
  check(event: CloudEvent): unknown;
  /** The write that appends an event to the log. */
  append(event: CloudEvent): Write;
  /** The record of who did it. */
  record(entry: {
    action: string;
    id: string;
    by: { kind: string; id: string };
    at: number;
    reason: string;
  }): Write;
}

/** True for a fault of an event that is to be kept apart, not refused. */
export function isQuarantined(fault: AiosError): boolean {
  return fault.code === 'contracts.data_invalid' && fault.extensions.onFail === 'quarantine';
}

/**
 * Events that do not fit their contract, where the contract says `quarantine`. Unlike a dead letter, which is in the log and which one group could not
 * handle, such an event was never in the log. Released, it is held to its contract as it is then and appended as what it is, with its id, source and time;
 * its place in the log is that of its release, behind what came in the meantime.
 */
export class Quarantine {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** Keeps events apart, durably when it resolves. */
  async keep(refused: readonly { event: CloudEvent; fault: AiosError }[]): Promise<void> {
    const writes = refused.map(({ event, fault }) => this.arrival(event, fault));
    if (writes.length > 0) await this.#dependencies.commit.commit(writes);
  }

  /** The write that keeps an event apart, in somebody's commit. */
  arrival(event: CloudEvent, fault: AiosError): Write {
    counter.add(1, { contract: event.type });
    return write(arrivalLane, {
      id: derivedId('qtn', event.source, event.id),
      contract: event.type,
      version: String(fault.extensions.version),
      event,
      problem: fault.toProblem(),
      arrivedAt: this.#dependencies.clock.now(),
    });
  }

  /** Newest first; `before` is the cursor of the last page, which is shorter where events are large (`pageBytesMax`). */
  list(filter: {
    contract?: string | undefined;
    status?: string | undefined;
    before?: string | undefined;
    limit: number;
  }): Promise<LargePage<QuarantinedEvent>> {
    const { db, limits } = this.#dependencies;
    return largePage<QuarantinedEvent>(db, {
      select: `select ${COLUMNS} from quarantined_events
       where ($1::text is null or contract = $1) and ($2::text is null or status = $2)
         and ($3::text is null or arrival < (select arrival from quarantined_events where id = $3))
       order by arrival desc`,
      values: [filter.contract ?? null, filter.status ?? null, filter.before ?? null],
      limit: filter.limit,
      bytesMax: limits.pageBytesMax,
    });
  }

  /** Those of these ids that are there, in the order in which they came; others behind them. */
  async inOrder(ids: readonly string[]): Promise<string[]> {
    const rows = await this.#dependencies.db.query<{ id: string }>(
      'select id from quarantined_events where id = any($1::text[]) order by arrival',
      [ids],
    );
    return [...new Set([...rows.map(({ id }) => id), ...ids])];
  }

  /** The open events of a contract in the order in which they came, behind the one that is named: a page of at most so many. */
  async openOf(contract: string, after: string | undefined, countMax: number): Promise<string[]> {
    const rows = await this.#dependencies.db.query<{ id: string }>(
      `select id from quarantined_events where contract = $1 and status = 'open'
         and ($2::text is null or arrival > (select arrival from quarantined_events where id = $2)) order by arrival limit $3`,
      [contract, after ?? null, countMax],
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Appends an event that fits by now; twice is once.
   *
   * @throws AiosError `contracts.unknown_quarantined`, or what its contract still says against it
   */
  async release(id: string, by: { kind: string; id: string }): Promise<void> {
    const { event } = await this.#open(id);
    this.#dependencies.check(event);
    await this.#resolve(id, 'released', by, 'It fits its contract.', [this.#dependencies.append(event)]);
  }

  /** @throws AiosError `contracts.unknown_quarantined` */
  async discard(id: string, by: { kind: string; id: string }, reason: string): Promise<void> {
    await this.#open(id);
    await this.#resolve(id, 'discarded', by, reason, []);
  }

  async #open(id: string): Promise<QuarantinedEvent> {
    const [found] = await this.#dependencies.db.query<QuarantinedEvent>(
      `select ${COLUMNS} from quarantined_events where id = $1 and status = 'open'`,
      [id],
    );
    if (found) return found;
    throw notThere(id);
  }

  async #resolve(
    id: string,
    status: Resolution['status'],
    by: { kind: string; id: string },
    reason: string,
    others: Write[],
  ): Promise<void> {
    const { commit, clock, record } = this.#dependencies;
    const at = clock.now();
    const resolution = write(resolutionLane, { id, status, at, by: by.id, reason });
    try {
      await commit.commit([...others, resolution, record({ action: status, id, by, at, reason })]);
    } catch (error) {
      throw error instanceof AiosError && error.code === 'store.conflict' ? notThere(id) : error;
    }
  }
}

function notThere(id: string): AiosError {
  return new AiosError('contracts.unknown_quarantined', { detail: `No event ${id} is in quarantine.` });
}
