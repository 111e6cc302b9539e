import { digestOf } from '../kernel/canonical.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Json } from '../kernel/json.ts';
import type { Database } from '../store/database.ts';
import { type Lane, type Plan, plannedLane, type Write, write } from '../store/lane.ts';
import { columns } from '../store/rows.ts';

/** A version of something that a run was made with. */
export interface LineagePin {
  kind: string;
  name: string;
  version: string;
  digest?: string;
}

export interface LineageRecord {
  runId: string;
  event?: { source: string; id: string } | undefined;
  pins: readonly LineagePin[];
}

interface Item {
  runId: string;
  event: LineageRecord['event'];
  digest: string;
  pins: string;
  at: number;
}

interface RunLineage {
  nodes: { id: string; kind: string; name: string; version?: string }[];
  edges: { from: string; to: string }[];
}

/** The order of the path: each kind is made with the ones before it. */
const PATH = [
  'contract',
  'feature-view',
  'feature-service',
  'dataset',
  'model',
  'decision',
  'queue',
  'connector',
  'workflow',
];

/**
 * What each run was made with. The versions in force are the same for thousands of runs, so a set of them is kept once, under its digest, and a
 * run's row only names it.
 */
export class Lineage {
  readonly #db: Database;
  readonly #clock: Clock;
  /** Sets that are known to be committed. */
  readonly #sets = new Set<string>();
  /** Digests of sets by their text: the canonical form is computed once for each. */
  readonly #digests = new Map<string, string>();
  readonly #lane: Lane<Item>;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
    this.#lane = plannedLane({
      name: 'lineage',
      order: 60,
      plan: (items) => ({ statements: this.#statements(items) }),
      committed: (items) => {
        for (const { digest } of items) this.#sets.add(digest);
      },
    });
  }

  record({ runId, event, pins }: LineageRecord): Write {
    const text = JSON.stringify(pins);
    let digest = this.#digests.get(text);
    if (digest === undefined) {
      if (this.#digests.size > 1000) this.#digests.clear();
      digest = digestOf(pins as unknown as Json);
      this.#digests.set(text, digest);
    }
    return write(this.#lane, { runId, event, digest, pins: text, at: this.#clock.now() });
  }

  #statements(items: readonly Item[]): Plan['statements'] {
    const fresh = new Map(
      items.flatMap((item) => (this.#sets.has(item.digest) ? [] : [[item.digest, item.pins] as const])),
    );
    // The last barrier of a run knows all that it was made with.
    const last = new Map(items.map((item) => [item.runId, item]));
    const runs = {
      text: `insert into lineage_runs (run_id, pins, event_source, event_id, at)
       select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
       on conflict (run_id) do update set pins = excluded.pins`,
      values: columns([...last.values()], (item) => [
        item.runId,
        item.digest,
        item.event?.source ?? null,
        item.event?.id ?? null,
        item.at,
      ]),
    };
    if (fresh.size === 0) return [runs];
    const sets = {
      text: 'insert into lineage_sets select * from unnest($1::text[], $2::json[]) on conflict do nothing',
      values: columns([...fresh], (row) => row),
    };
    return [sets, runs];
  }

  async pinsOf(runId: string): Promise<LineagePin[]> {
    const [row] = await this.#db.query<{ pins: LineagePin[] }>(
      'select s.pins from lineage_runs r join lineage_sets s on s.digest = r.pins where r.run_id = $1',
      [runId],
    );
    return row?.pins ?? [];
  }

  /** What a run was made with, and when; undefined for one that has not ended. */
  async madeOf(runId: string): Promise<{ pins: LineagePin[]; at: number } | undefined> {
    const [row] = await this.#db.query<{ pins: LineagePin[]; at: number }>(
      'select s.pins, r.at from lineage_runs r join lineage_sets s on s.digest = r.pins where r.run_id = $1',
      [runId],
    );
    return row;
  }

  /** What each of these runs was made with, by run. */
  async pinsOfRuns(runIds: readonly string[]): Promise<Map<string, LineagePin[]>> {
    const rows = await this.#db.query<{ run_id: string; pins: LineagePin[] }>(
      'select r.run_id, s.pins from lineage_runs r join lineage_sets s on s.digest = r.pins where r.run_id = any($1::text[])',
      [runIds],
    );
    return new Map(rows.map(({ run_id, pins }) => [run_id, pins]));
  }

  /** From the event to the decision: everything that a run was made with, in the order of the path. */
  async graph(runId: string): Promise<RunLineage> {
    const [row] = await this.#db.query<{
      pins: LineagePin[];
      event_source: string | null;
      event_id: string | null;
    }>(
      'select s.pins, r.event_source, r.event_id from lineage_runs r join lineage_sets s on s.digest = r.pins where r.run_id = $1',
      [runId],
    );
    const run = { id: `run:${runId}`, kind: 'run', name: runId };
    if (!row) return { nodes: [run], edges: [] };
    const event =
      row.event_id === null
        ? []
        : [{ id: `event:${row.event_source}/${row.event_id}`, kind: 'event', name: row.event_id }];
    const pins = [...row.pins]
      .sort((a, b) => PATH.indexOf(a.kind) - PATH.indexOf(b.kind))
      .map(({ kind, name, version }) => ({ id: `${kind}:${name}@${version}`, kind, name, version }));
    const nodes = [...event, ...pins, run];
    return { nodes, edges: edgesOf(nodes) };
  }

  /** Runs that were made with a version, newest first: what a recall has to look at. */
  async runsWith(kind: string, name: string, version: string, limit: number): Promise<string[]> {
    const rows = await this.#db.query<{ run_id: string }>(
      `select r.run_id from lineage_sets s join lineage_runs r on r.pins = s.digest
       where exists (select from json_array_elements(s.pins) pin where pin->>'kind' = $1 and pin->>'name' = $2 and pin->>'version' = $3)
       order by r.at desc limit $4`,
      [kind, name, version, limit],
    );
    return rows.map((row) => row.run_id);
  }
}

/** Each stage of the path feeds the next one that is there. */
function edgesOf(nodes: readonly { id: string; kind: string }[]): RunLineage['edges'] {
  const stages = Map.groupBy(nodes, ({ kind }) => kind);
  const lists = [...stages.values()];
  return lists
    .slice(1)
    .flatMap((stage, index) =>
      lists[index]!.flatMap((from) => stage.map((to) => ({ from: from.id, to: to.id }))),
    );
}
