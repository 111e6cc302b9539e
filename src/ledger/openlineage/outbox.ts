import type { Database, Queryable } from '../../store/database.ts';
import { plannedLane, type Write, write } from '../../store/lane.ts';
import type { Migration } from '../../store/migrations.ts';
import { columns } from '../../store/rows.ts';
import { writeInTransaction } from '../../store/write-in-transaction.ts';
import type { Told, ToldRun, Work } from './work-events.ts';

export const openLineageMigrations: Migration[] = [
  {
    name: '0086_openlineage',
    sql: `
      create table openlineage_outbox (
        sink text not null,
        id bigint generated always as identity,
        told json not null,
        refused text,
        refused_at timestamptz,
        primary key (sink, id)
      );
      create index openlineage_outbox_waiting on openlineage_outbox (sink, id) where refused is null;
      comment on table openlineage_outbox is 'What is to be sent, written in the transaction of what it tells; a row goes when its sink has taken it.';
      comment on column openlineage_outbox.refused is 'What a sink answered that will never take it.';
      create table openlineage_sinks (
        sink text primary key,
        since timestamptz not null default now(),
        owner text,
        leased_until timestamptz,
        next_at timestamptz not null default now(),
        attempts int not null default 0,
        problem text,
        sent bigint not null default 0
      );
      create table openlineage_told (
        source text not null,
        id text not null,
        has_ended bool not null,
        told_at timestamptz not null default now(),
        primary key (source, id)
      );
      comment on table openlineage_told is 'Passes that sinks were told of: they are found in the tables of their modules. Of one that has not ended, when it was told of last. Of runs those that a sink was told of while they were under way.';`,
  },
];

/** What a sink will never take, by when it said so. */
export const refusedRecords = { table: 'openlineage_outbox', over: 'refused_at < $1' };

/** What sinks were told of work, by when they were told last: once it is past, its work is looked for no more. */
export const toldRecords = { table: 'openlineage_told', over: 'told_at < $1' };

interface Item {
  readonly sink: string;
  readonly told: string;
}

const outboxLane = plannedLane<Item>({
  name: 'openlineage outbox',
  order: 61,
  plan: (items) => ({
    statements: [
      {
        text: 'insert into openlineage_outbox (sink, told) select * from unnest($1::text[], $2::json[])',
        values: columns(items, ({ sink, told }) => [sink, told]),
      },
    ],
  }),
});

/** The write that puts something into the outbox of a sink; a repeated commit may tell it twice, which the specification bears. */
export function tellWrite(sink: string, told: Told): Write {
  return write(outboxLane, { sink, told: JSON.stringify(told) });
}

/** What stands as the source of runs that a sink was told of: of runs each sink is told another share, of other work all are told the same. */
export const runsOf = (sink: string) => `runs ${sink}`;

export interface Waiting {
  readonly id: number;
  readonly told: Told;
}

/** How a sink stands. */
export interface SinkStatus {
  readonly sink: string;
  /** Events that wait to be sent; counted up to the limit. */
  readonly waiting: number;
  /** Events that the receiver will never take. */
  readonly refused: number;
  readonly sent: number;
  readonly problem: string | null;
  readonly next_at: number;
}

/** The outbox and who sends from it: one process at a time for each sink. */
export class Outbox {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** True when this process sends for a sink until the lease is over, and it is time. */
  async claim(sink: string, owner: string, leaseMs: number): Promise<boolean> {
    const rows = await this.#db.query(
      `insert into openlineage_sinks (sink, owner, leased_until) values ($1, $2, now() + $3 * interval '1 millisecond')
       on conflict (sink) do update set owner = $2, leased_until = excluded.leased_until
         where (openlineage_sinks.owner = $2 or openlineage_sinks.leased_until is null or openlineage_sinks.leased_until < now())
           and openlineage_sinks.next_at <= now()
       returning sink`,
      [sink, owner, leaseMs],
    );
    return rows.length > 0;
  }

  /** Leaves all sinks to the other processes at once. */
  async release(owner: string): Promise<void> {
    await this.#db.query('update openlineage_sinks set leased_until = null where owner = $1', [owner]);
  }

  waiting(sink: string, max: number): Promise<Waiting[]> {
    return this.#db.query<{ id: number; told: Told }>(
      'select id, told from openlineage_outbox where sink = $1 and refused is null order by id limit $2',
      [sink, max],
    );
  }

  /** Takes what was sent out of the outbox, and what was refused for good to its side. */
  async settle(
    sink: string,
    sent: readonly number[],
    refused: readonly { id: number; problem: string }[],
    failure: { problem: string; afterMs: number } | undefined,
  ): Promise<void> {
    await this.#db.transaction(async (tx) => {
      await tx.query('delete from openlineage_outbox where sink = $1 and id = any($2::bigint[])', [
        sink,
        sent,
      ]);
      for (const { id, problem } of refused)
        await tx.query(
          'update openlineage_outbox set refused = $3, refused_at = now() where sink = $1 and id = $2',
          [sink, id, problem],
        );
      await tx.query(
        `update openlineage_sinks set sent = sent + $2, problem = $3, next_at = now() + $4 * interval '1 millisecond',
           attempts = case when $3::text is null or $2 > 0 then 0 else attempts + 1 end where sink = $1`,
        [sink, sent.length, failure?.problem ?? null, failure?.afterMs ?? 0],
      );
    });
  }

  async attempts(sink: string): Promise<number> {
    const [row] = await this.#db.query<{ attempts: number }>(
      'select attempts from openlineage_sinks where sink = $1',
      [sink],
    );
    return row?.attempts ?? 0;
  }

  /** @param max the most that is counted of a sink */
  status(max: number): Promise<SinkStatus[]> {
    return this.#db.query<SinkStatus>(
      `select s.sink, s.sent, s.problem, s.next_at,
         (select count(*) from (select from openlineage_outbox o where o.sink = s.sink and o.refused is null limit $1) w) as waiting,
         (select count(*) from openlineage_outbox o where o.sink = s.sink and o.refused is not null) as refused
       from openlineage_sinks s order by s.sink`,
      [max],
    );
  }

  /** Tells a sink of a run that is under way, once. One that has ended meanwhile is told by its end. */
  tellRun(sink: string, run: ToldRun): Promise<void> {
    return this.#db.transaction(async (tx) => {
      // The lock of its row: its end comes after this, or was before it.
      const [live] = await tx.query(
        `select from workflow_runs where id = $1 and status not in ('completed', 'failed', 'canceled') for share`,
        [run.id],
      );
      if (!live) return;
      const [told] = await tx.query(
        'insert into openlineage_told (source, id, has_ended) values ($1, $2, false) on conflict do nothing returning id',
        [runsOf(sink), run.id],
      );
      if (told) await writeInTransaction(tx, [tellWrite(sink, { run })]);
    });
  }

  /** When a sink was told that a run is under way; nothing when it was not. */
  async runToldAt(sink: string, id: string): Promise<number | undefined> {
    const [row] = await this.#db.query<{ at: number }>(
      'select told_at as at from openlineage_told where source = $1 and id = $2',
      [runsOf(sink), id],
    );
    return row?.at;
  }

  /**
   * Tells of work: of its end once, of what is under way every `againMs`. That it was told, and what, are one transaction.
   *
   * @param tell is told when it was told of before, if it was: its beginning is known, and what is told now is no older
   */
  tellWork(
    { type, id, state }: Pick<Work, 'type' | 'id' | 'state'>,
    againMs: number,
    tell: (tx: Queryable, toldAt: number | undefined) => Promise<void>,
  ): Promise<void> {
    return this.#db.transaction(async (tx) => {
      const [told] = await tx.query<{ toldAt: number | null }>(
        `with before as (select told_at from openlineage_told where source = $1 and id = $2)
         insert into openlineage_told as t (source, id, has_ended) values ($1, $2, $3)
         on conflict (source, id) do update set has_ended = $3, told_at = now()
           where not t.has_ended and ($3 or t.told_at <= now() - $4 * interval '1 millisecond')
         returning (select told_at from before) as "toldAt"`,
        [type, id, state !== 'RUNNING', againMs],
      );
      if (told) await tell(tx, told.toldAt ?? undefined);
    });
  }
}
