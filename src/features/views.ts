import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError, toAiosError } from '../kernel/errors.ts';
import type { Database, Queryable } from '../store/database.ts';
import type { Definitions } from '../store/definitions.ts';
import { type CompiledView, compileView } from './compiled.ts';
import { codeAlone, type OnDemandFunctions } from './computed-features.ts';
import type { EntityBody, FeatureServiceBody } from './definitions.ts';
import { beginGenerations, readOffsets, retireViews } from './generations.ts';
import { listedIssues } from './listed-views.ts';
import { type ListedViews, type Projection, projectionOf } from './projections.ts';
import { compileRowView, type RowView } from './row-view.ts';
import { type CompiledService, compileService } from './service.ts';
import { type FoundView, resolveViews } from './service-views.ts';
import { type Collected, collect, nothingCollected, writeCollected } from './storage.ts';
import {
  type BatchViewBody,
  type FeatureViewBody,
  kindOfView,
  type OnDemandViewBody,
  type StreamViewBody,
} from './view-documents.ts';

interface ViewRow {
  id: number;
  name: string;
  version: number;
  status: 'requested' | 'copied' | 'building' | 'ready' | 'retired';
  /** Per log partition: the offset from which the stream keeps the view. */
  joined: number[];
  /** Of a generation that builds a range anew: the offsets before which it holds the rest already. */
  copied: number[] | null;
  rangeFrom: number;
  rangeTo: number;
  includeLate: boolean;
  joinNumber: number;
}

interface KnownView {
  readonly row: ViewRow;
  readonly compiled: CompiledView;
}

interface Dependencies {
  db: Database;
  definitions: Definitions;
  /** The consumer group that keeps the views. */
  group: string;
  readLog(partition: number, offset: number, countMax: number): Promise<LoggedEvent[]>;
  /** Told of events of the past that a view cannot be built from: they are left out of it. */
  onError?: (error: AiosError) => void;
  /** What on-demand views may call; without, their own code alone. */
  functions?: OnDemandFunctions | undefined;
}

const BACKFILL_BATCH = 500;
/** Ten seconds at a look each half second: a batch takes far less. */
const STALLED_LOOKS = 20;

/**
 * The views and services in force. A new version of a view joins the stream at a known offset of each partition and is built from the log
 * up to there; until that is done the version before it is kept up to date and served.
 */
export class FeatureViews {
  readonly #db: Database;
  readonly #definitions: Definitions;
  readonly #group: string;
  readonly #readLog: Dependencies['readLog'];
  readonly #onError: Dependencies['onError'];
  /** Views that the stream keeps, by id. */
  #known = new Map<number, KnownView>();
  #inForce = new Map<string, KnownView>();
  #byType = new Map<string, CompiledView[]>();
  /** What on-demand views may call. */
  readonly functions: OnDemandFunctions;
  readonly #services = new Map<string, CompiledService>();
  /** The definitions that the services were compiled from. */
  #revision = -1;
  readonly #rowViews = new Map<string, RowView>();
  #newestJoin = 0;
  #fingerprint = '';
  /** How far what is being built was at the last look, and how many looks ago that changed. */
  #stage = '';
  #looks = 0;
  #reloads = 0;
  #reloaded = 0;

  constructor({ db, definitions, group, readLog, onError, functions = codeAlone() }: Dependencies) {
    this.functions = functions;
    this.#db = db;
    this.#definitions = definitions;
    this.#group = group;
    this.#readLog = readLog;
    this.#onError = onError;
  }

  /** Lets new versions join the stream and builds them from the log; resolves when all are ready. */
  async sync(): Promise<void> {
    for (const { name, version, body } of this.#definitions.list('feature-view'))
      if (kindOfView(body as unknown as FeatureViewBody) === 'stream') await this.#join(name, version);
    await beginGenerations(this.#db, this.#group);
    await this.reload();
    for (const { row, compiled } of this.#known.values())
      if (row.status === 'building') await this.#build(row, compiled);
    await retireViews(this.#db);
    await this.reload();
  }

  /** False when another process let a view join that is not known here; asked in the consumer's transaction. */
  async isCurrent(tx: Queryable): Promise<boolean> {
    const known = this.#newestJoin; // of the moment of asking: they may be read again before the answer comes
    const [row] = await tx.query<{ newest: number | null }>(
      "select max(join_number) as newest from feature_views where status not in ('requested', 'copied')",
    );
    return (row?.newest ?? 0) <= known;
  }

  /**
   * Sees what other processes let join, built or retired; asked from time to time, since without events nothing else tells. What is being built and has not
   * moved for `STALLED_LOOKS` is taken up here: whoever began it may be gone.
   */
  async refresh(): Promise<boolean> {
    const rows = await this.#db.query<Pick<ViewRow, 'id' | 'status'> & { built: string }>(
      'select id, status, built::text as built from feature_views order by name, version, id',
    );
    const joined = rows.filter(({ status }) => status !== 'requested' && status !== 'copied');
    if (fingerprintOf(joined) !== this.#fingerprint) await this.reload();
    const open = rows.filter(({ status }) => status !== 'ready' && status !== 'retired');
    const stage = open.map(({ id, status, built }) => `${id} ${status} ${built}`).join();
    this.#looks = stage !== '' && stage === this.#stage ? this.#looks + 1 : 0;
    this.#stage = stage;
    if (this.#looks < STALLED_LOOKS) return stage !== '';
    this.#looks = 0;
    await this.sync();
    return true;
  }

  /** Reads which views there are. */
  async reload(): Promise<void> {
    const reload = ++this.#reloads;
    await this.#definitions.reload();
    const rows = await this.#db.query<ViewRow>(
      `select id, name, version, status, joined::text[] as joined, copied::text[] as copied, range_from as "rangeFrom",
         range_to as "rangeTo", include_late as "includeLate", join_number as "joinNumber"
       from feature_views where status not in ('requested', 'copied') order by name, version, id`,
    );
    const known = new Map<number, KnownView>();
    for (const row of keptOf(rows)) {
      const kept = this.#known.get(row.id);
      if (kept?.row.status === row.status) known.set(row.id, kept);
      else {
        const compiled = kept?.compiled ?? (await this.#compileView(row));
        const { joined, copied } = row;
        known.set(row.id, {
          row: { ...row, joined: joined.map(Number), copied: copied?.map(Number) ?? null },
          compiled,
        });
      }
    }
    if (reload < this.#reloaded) return; // one that began later has ended
    this.#reloaded = reload;
    this.#newestJoin = Math.max(0, ...rows.map(({ joinNumber }) => joinNumber));
    this.#fingerprint = fingerprintOf(rows);
    this.#known = known;
    this.#inForce = new Map();
    this.#byType = new Map();
    this.#services.clear();
    for (const view of known.values()) {
      if (view.row.status === 'ready') this.#inForce.set(view.row.name, view);
      const type = view.compiled.eventType;
      this.#byType.set(type, [...(this.#byType.get(type) ?? []), view.compiled]);
    }
  }

  /** Changes whenever the views may be others. */
  get generation(): number {
    return this.#reloaded;
  }

  ofType(type: string): readonly CompiledView[] {
    return this.#byType.get(type) ?? [];
  }

  /** The offset from which the stream keeps a view; what lies before is built from the log. */
  joined({ id }: CompiledView, partition: number): number {
    return this.#known.get(id)?.row.joined[partition] ?? 0;
  }

  /** @throws AiosError `features.unknown_service`, `features.building` */
  service(name: string): CompiledService {
    if (this.#revision !== this.#definitions.revision) {
      this.#services.clear();
      this.#revision = this.#definitions.revision;
    }
    const known = this.#services.get(name);
    if (known) return known;
    const definition = this.#definitions.latest('feature-service', name);
    if (!definition)
      throw new AiosError('features.unknown_service', { detail: `There is no feature service “${name}”.` });
    const { version, digest, body } = definition;
    const compiled = this.#compile(body as unknown as FeatureServiceBody, version, digest);
    this.#services.set(name, compiled);
    return compiled;
  }

  /** The version in force of a batch or push view; undefined when there is none of that name. */
  rowView(name: string): RowView | undefined {
    const definition = this.#definitions.latest('feature-view', name);
    if (!definition) return undefined;
    const body = definition.body as unknown as BatchViewBody;
    const kind = kindOfView(body);
    if (kind !== 'batch' && kind !== 'push') return undefined;
    const known = this.#rowViews.get(name);
    if (known?.version === definition.version) return known;
    const view = compileRowView(definition.version, body, this.#entity(body.entity));
    this.#rowViews.set(name, view);
    return view;
  }

  /** The views that take what is pushed under a name. */
  pushViews(push: string): RowView[] {
    return this.rowViews().filter((view) => view.push === push);
  }

  /** The stream views in force. */
  streams(): CompiledView[] {
    return [...this.#inForce.values()].map(({ compiled }) => compiled);
  }

  /** The batch and push views. */
  rowViews(): RowView[] {
    return this.#definitions.list('feature-view').flatMap(({ name }) => this.rowView(name) ?? []);
  }

  /** The version in force of a stream view; undefined while its first one is being built. */
  streamView(name: string): CompiledView | undefined {
    return this.#inForce.get(name)?.compiled;
  }

  /**
   * The vectors of views without a service: those of a request, or of a dataset. `name` is what messages call them.
   *
   * @throws AiosError `features.unknown_view`, `features.building`, `request.invalid` where they do not fit together
   */
  serviceOf(name: string, { views, fullFeatureNames = false }: ListedViews): CompiledService {
    const known = (kind: string, of: string) => this.#definitions.latest(kind, of);
    for (const { view } of views.map(projectionOf))
      if (!known('feature-view', view))
        throw new AiosError('features.unknown_view', { detail: `There is no feature view “${view}”.` });
    const issues = listedIssues({ views, fullFeatureNames }, '/views', {
      find: (kind, of) => known(kind, of)?.body,
      versionOf: (kind, of) => known(kind, of)?.version,
    });
    if (issues.length > 0) throw new AiosError('request.invalid', { issues });
    return this.#compile({ name, views, fullFeatureNames }, 0, '');
  }

  #compile(service: FeatureServiceBody, version: number, digest: string): CompiledService {
    const building = (view: string) =>
      new AiosError('features.building', {
        detail: `The feature view “${view}” is still being built from the log: ${version === 0 ? service.name : `the service “${service.name}”`} reads it.`,
      });
    const views = resolveViews(service, (projection) => this.#find(projection, building));
    try {
      return compileService(service, version, digest, views, this.functions);
    } catch (error) {
      // A service may name features that only the version being built has.
      const newer = views.streams.find(
        ({ view }) => this.#definitions.latest('feature-view', view.name)?.version !== view.version,
      );
      throw newer ? building(newer.view.name) : error;
    }
  }

  /** The version of a view in force; one that is held to a version is no other. */
  #find({ view: name, version: held }: Projection, building: (view: string) => AiosError): FoundView {
    const { version, body } = this.#definitions.latest('feature-view', name)!;
    const kind = kindOfView(body as unknown as FeatureViewBody);
    if (kind === 'on-demand')
      return { onDemand: { name, version, body: body as unknown as OnDemandViewBody } };
    if (kind !== 'stream') return { row: this.rowView(name)! };
    const inForce = this.#inForce.get(name)?.compiled;
    if (!inForce || (held !== undefined && held !== inForce.version)) throw building(name);
    return { stream: inForce };
  }

  #entity(name: string): EntityBody {
    return this.#definitions.latest('entity', name)!.body as unknown as EntityBody;
  }

  /** The offset rows are locked while a view joins: no batch is half before and half after. */
  async #join(name: string, version: number): Promise<void> {
    await this.#db.transaction(async (tx) => {
      const [known] = await tx.query('select from feature_views where name = $1 and version = $2', [
        name,
        version,
      ]);
      if (known) return;
      const joined = await readOffsets(tx, this.#group, 'for update');
      await tx.query(
        `insert into feature_views (name, version, joined, built, status) values ($1, $2, $3::bigint[], $4::bigint[], $5)
         on conflict do nothing`,
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

  async #compileView({ id, name, version }: ViewRow): Promise<CompiledView> {
    const body = (await this.#definitions.version('feature-view', name, version))!
      .body as unknown as StreamViewBody;
    return compileView(id, version, body, this.#entity(body.entity));
  }

  /** Goes on where an earlier try ended, beside another process that builds the same view, too. */
  async #build(row: ViewRow, view: CompiledView): Promise<void> {
    for (const partition of row.joined.keys()) while (await this.#buildBatch(row, view, partition));
    await this.#db.query(
      "update feature_views set status = 'ready', ready_at = now() where id = $1 and status = 'building'",
      [row.id],
    );
  }

  /** Each batch moves `built` in its own transaction, under the lock of the view's row: tiles must not be added twice. */
  #buildBatch(row: ViewRow, view: CompiledView, partition: number): Promise<boolean> {
    return this.#db.transaction(async (tx) => {
      const [at] = await tx.query<{ next: number; end: number }>(
        'select built[$2::int] as next, joined[$2::int] as end from feature_views where id = $1 for update',
        [view.id, partition + 1],
      );
      if (!at || at.next >= at.end) return false;
      // Where segments were dropped there are fewer offsets than numbers: what is past the end is the stream's.
      const read = await this.#readLog(partition, at.next, Math.min(BACKFILL_BATCH, at.end - at.next));
      const events = read.filter(({ offset }) => offset < at.end);
      if (events.length === 0) return false;
      const collected = nothingCollected();
      for (const logged of events) {
        try {
          if (logged.event.type === view.eventType) collectPast(row, view, logged, collected);
        } catch (error) {
          this.#onError?.(toAiosError(error)); // the stream puts such an event aside as a dead letter
        }
      }
      await writeCollected(tx, collected);
      await tx.query('update feature_views set built[$2::int] = $3 where id = $1', [
        view.id,
        partition + 1,
        events.at(-1)!.offset + 1,
      ]);
      return true;
    });
  }

  /** The views that are being built and have still to read a part of the log before these offsets, one for each partition. */
  async behind(tx: Queryable, ends: readonly number[]): Promise<string[]> {
    const rows = await tx.query<{ name: string }>(
      `select distinct name from feature_views v, unnest($1::bigint[]) with ordinality as e(log_offset, number)
       where status = 'building' and v.built[number::int] < least(e.log_offset, v.joined[number::int]) order by name`,
      [ends],
    );
    return rows.map(({ name }) => `feature view ${name}`);
  }
}

/** Of each name the newest version (and of that the newest generation) that is ready, and those after it that are being built. */
function keptOf(rows: readonly ViewRow[]): ViewRow[] {
  return rows.filter(
    (row) =>
      row.status !== 'retired' &&
      !rows.some((other) => other.name === row.name && isNewer(other, row) && other.status === 'ready'),
  );
}

function isNewer(a: ViewRow, b: ViewRow): boolean {
  return a.version > b.version || (a.version === b.version && a.id > b.id);
}

/** What an event of the past means to a view: to a generation that holds all but a range already, only the range. */
function collectPast(
  { copied, rangeFrom, rangeTo, includeLate }: ViewRow,
  view: CompiledView,
  logged: LoggedEvent,
  collected: Collected,
): void {
  if (copied && logged.offset < copied[logged.partition]!) {
    if (logged.timeMs < rangeFrom || logged.timeMs >= rangeTo) return;
    collect(view, logged, collected, includeLate);
  } else collect(view, logged, collected);
}

function fingerprintOf(rows: readonly Pick<ViewRow, 'id' | 'status'>[]): string {
  return rows.map(({ id, status }) => `${id} ${status}`).join();
}
