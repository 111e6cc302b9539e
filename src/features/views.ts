import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Database, Queryable } from '../store/database.ts';
import type { Definition, Definitions } from '../store/definitions.ts';
import { type CompiledService, type CompiledView, compileService, compileView } from './compiled.ts';
import type { EntityBody, FeatureServiceBody, FeatureViewBody } from './definitions.ts';
import { collect } from './feature-store.ts';
import { addTiles, type ContributionRow, type TileRow, writeContributions } from './storage.ts';

interface ViewRow {
  id: number;
  name: string;
  version: number;
  status: 'building' | 'ready';
  joined: number[];
  built: number[];
}

interface Dependencies {
  db: Database;
  definitions: Definitions;
  /** The consumer group that keeps the views. */
  group: string;
  readLog(partition: number, offset: number, countMax: number): Promise<LoggedEvent[]>;
}

const BACKFILL_BATCH = 500;

/**
 * The views and services in force. A new version of a view joins the stream at a known offset of each partition and is built from the log
 * up to there; it is served once that is done.
 */
export class FeatureViews {
  readonly #db: Database;
  readonly #definitions: Definitions;
  readonly #group: string;
  readonly #readLog: Dependencies['readLog'];
  readonly #rows = new Map<string, ViewRow>();
  readonly #compiled = new Map<string, CompiledView>();
  #byType = new Map<string, CompiledView[]>();
  readonly #services = new Map<string, CompiledService>();
  #newestId = 0;

  constructor({ db, definitions, group, readLog }: Dependencies) {
    this.#db = db;
    this.#definitions = definitions;
    this.#group = group;
    this.#readLog = readLog;
  }

  /** Lets new versions join the stream and builds them from the log; resolves when all are ready. */
  async sync(): Promise<void> {
    for (const { name, version } of this.#definitions.list('feature-view')) await this.#join(name, version);
    await this.#load(this.#db);
    for (const row of this.#rows.values()) if (row.status === 'building') await this.#build(row);
    await this.#load(this.#db);
  }

  /** False when another process let a view join that is not known here; asked in the consumer's transaction. */
  async isCurrent(tx: Queryable): Promise<boolean> {
    const [row] = await tx.query<{ newest: number | null }>('select max(id) as newest from feature_views');
    return (row?.newest ?? 0) <= this.#newestId;
  }

  async reload(): Promise<void> {
    await this.#definitions.reload();
    await this.#load(this.#db);
  }

  ofType(type: string): readonly CompiledView[] {
    return this.#byType.get(type) ?? [];
  }

  types(): string[] {
    return [...this.#byType.keys()];
  }

  joined(view: CompiledView, partition: number): number {
    return this.#rows.get(`${view.name}/${view.version}`)?.joined[partition] ?? 0;
  }

  /** @throws AiosError `features.unknown_service`, `features.building` */
  service(name: string): CompiledService {
    const definition = this.#definitions.latest('feature-service', name);
    if (!definition)
      throw new AiosError('features.unknown_service', { detail: `There is no feature service “${name}”.` });
    const known = this.#services.get(name);
    if (known?.digest === definition.digest) return known;
    const compiled = this.#compileService(definition);
    this.#services.set(name, compiled);
    return compiled;
  }

  #compileService({ name, version, digest, body }: Definition): CompiledService {
    const service = body as unknown as FeatureServiceBody;
    const views = service.views.map((viewName) => {
      const latest = this.#definitions.latest('feature-view', viewName);
      const key = `${viewName}/${latest?.version}`;
      const view = this.#compiled.get(key);
      if (!view || this.#rows.get(key)?.status !== 'ready') {
        throw new AiosError('features.building', {
          detail: `The feature view “${viewName}” of the service “${name}” is still being built from the log.`,
        });
      }
      return view;
    });
    return compileService(service, version, digest, views);
  }

  /** The offset rows are locked while a view joins: no batch is half before and half after. */
  async #join(name: string, version: number): Promise<void> {
    if (this.#rows.has(`${name}/${version}`)) return;
    await this.#db.transaction(async (tx) => {
      const offsets = await tx.query<{ log_offset: number }>(
        'select log_offset from event_consumers where consumer_group = $1 order by partition for update',
        [this.#group],
      );
      const joined = offsets.map((row) => row.log_offset);
      await tx.query(
        'insert into feature_views (name, version, joined, built, status) values ($1, $2, $3::bigint[], $4::bigint[], $5) on conflict do nothing',
        [
          name,
          version,
          joined,
          joined.map(() => 0),
          joined.every((offset) => offset === 0) ? 'ready' : 'building',
        ],
      );
    });
  }

  async #load(tx: Queryable): Promise<void> {
    const rows = await tx.query<ViewRow>(
      'select id, name, version, status, joined::text[] as joined, built::text[] as built from feature_views order by id',
    );
    const byType = new Map<string, CompiledView[]>();
    for (const row of rows) {
      const key = `${row.name}/${row.version}`;
      this.#rows.set(key, { ...row, joined: row.joined.map(Number), built: row.built.map(Number) });
      this.#newestId = Math.max(this.#newestId, row.id);
      const latest = this.#definitions.latest('feature-view', row.name);
      if (latest?.version !== row.version) continue; // an older version is no longer kept up to date
      const view = this.#compiled.get(key) ?? this.#compile(row.id, latest);
      this.#compiled.set(key, view);
      byType.set(view.eventType, [...(byType.get(view.eventType) ?? []), view]);
    }
    this.#byType = byType;
    this.#services.clear();
  }

  #compile(id: number, { version, body }: Definition): CompiledView {
    const view = body as unknown as FeatureViewBody;
    const entity = this.#definitions.latest('entity', view.entity)?.body as unknown as EntityBody | undefined;
    if (!entity)
      throw new AiosError('definition.reference', {
        detail: `Feature view “${view.name}”: there is no entity “${view.entity}”.`,
      });
    return compileView(id, version, view, entity.joinKeys);
  }

  /** Goes on where an earlier try ended: each batch moves `built` in its own transaction. */
  async #build(row: ViewRow): Promise<void> {
    const view = this.#compiled.get(`${row.name}/${row.version}`);
    if (!view) return;
    for (const [partition, end] of row.joined.entries()) {
      for (let offset = row.built[partition]!; offset < end; ) {
        const events = await this.#readLog(partition, offset, Math.min(BACKFILL_BATCH, end - offset));
        if (events.length === 0) break;
        const next = events.at(-1)!.offset + 1;
        await this.#db.transaction(async (tx) => {
          const contributions: ContributionRow[] = [];
          const tiles: TileRow[] = [];
          for (const logged of events)
            if (logged.event.type === view.eventType) collect(view, logged, contributions, tiles);
          await writeContributions(tx, contributions);
          await addTiles(tx, tiles);
          await tx.query('update feature_views set built[$2] = $3 where id = $1', [
            row.id,
            partition + 1,
            next,
          ]);
        });
        offset = next;
      }
    }
    await this.#db.query("update feature_views set status = 'ready' where id = $1", [row.id]);
  }
}
