import { AiosError } from '../kernel/errors.ts';
import type { Database, Queryable } from '../store/database.ts';
import { type Definitions, findIn } from '../store/definitions.ts';
import { type BuildingFromLog, buildFromLog, type ViewRow } from './build-from-log.ts';
import { type CompiledView, compileView, stateMeaningOf } from './compiled.ts';
import { codeAlone, type OnDemandFunctions } from './computed-features.ts';
import type { FeatureServiceBody } from './definitions.ts';
import type { EntityBody } from './entity.ts';
import { beginGenerations, readOffsets, retireViews } from './generations.ts';
import { listedIssues } from './listed-views.ts';
import { type ListedViews, type Projection, projectionOf } from './projections.ts';
import { firstPass, type RowView } from './row-view.ts';
import { ServedRows } from './served-rows.ts';
import { type CompiledService, compileService } from './service.ts';
import { type FoundView, resolveViews } from './service-views.ts';
import {
  type FeatureViewBody,
  kindOfView,
  type OnDemandViewBody,
  type StreamViewBody,
} from './view-documents.ts';

interface KnownView {
  readonly row: ViewRow;
  readonly compiled: CompiledView;
}

interface Dependencies extends BuildingFromLog {
  definitions: Definitions;
  /** The consumer group that keeps the views. */
  group: string;
  /** What on-demand views may call; without, their own code alone. */
  functions?: OnDemandFunctions | undefined;
}

/** Ten seconds at a look each half second: a batch takes far less. */
const STALLED_LOOKS = 20;
const VIEW = 'feature-view';
/** What is retired is fed on meanwhile: another process serves it until it looks again (each half second). */
const IS_FED = "(status <> 'retired' or retired_at > now() - interval '30 seconds')";

/**
 * The views and services in force. A new version of a view joins the stream at a known offset of each partition and is built from the log
 * up to there; until that is done the version before it is kept up to date and served, and after that for as long as somebody is held to it. A version that
 * means what another does takes the state of that one.
 */
export class FeatureViews {
  readonly #db: Database;
  readonly #definitions: Definitions;
  readonly #group: string;
  readonly #building: BuildingFromLog;
  /** Views that the stream keeps, by id. */
  #known = new Map<number, KnownView>();
  #inForce = new Map<string, KnownView>();
  /** What is built, by name and meaning: its newest generation. */
  #ready = new Map<string, KnownView>();
  #byType = new Map<string, CompiledView[]>();
  /** What on-demand views may call. */
  readonly functions: OnDemandFunctions;
  readonly #services = new Map<string, CompiledService>();
  /** The definitions that the services were compiled from. */
  #revision = -1;
  /** The batch and push views. */
  readonly rows: ServedRows;
  #newestJoin = 0;
  #fingerprint = '';
  /** How far what is being built was at the last look, and how many looks ago that changed. */
  #stage = '';
  #looks = 0;
  #reloads = 0;
  #reloaded = 0;

  constructor({ db, definitions, group, readLog, logBegin, onError, functions = codeAlone() }: Dependencies) {
    this.functions = functions;
    this.#db = db;
    this.#definitions = definitions;
    this.#group = group;
    this.#building = { db, readLog, logBegin, onError };
    this.rows = new ServedRows(db, definitions);
  }

  /** Lets new versions join the stream and builds them from the log; resolves when all are ready. */
  async sync(): Promise<void> {
    await this.#definitions.reload();
    for (const wanted of this.#wanted()) await this.#join(wanted);
    await beginGenerations(this.#db, this.#group);
    await this.reload();
    for (const { row, compiled } of this.#known.values())
      if (row.status === 'building') await buildFromLog(this.#building, row, compiled);
    await this.#retire();
    await this.reload();
  }

  /** Of each stream view the versions that somebody is held to, then the newest, and what they mean. */
  #wanted(): { name: string; version: number; meaning: string }[] {
    return this.#definitions.list(VIEW).flatMap(({ name, version: newest, body }) => {
      if (kindOfView(body as unknown as FeatureViewBody) !== 'stream') return [];
      const held = this.#definitions.heldVersions(VIEW, name).filter((older) => older !== newest);
      return [...held, newest].map((version) => ({
        ...{ name, version },
        meaning: stateMeaningOf(this.#definitions.at(VIEW, name, version)!.body as unknown as StreamViewBody),
      }));
    });
  }

  /** What is held is read under the lock of the definitions: who becomes held to a version finds it kept, or has it built anew. */
  async #retire(): Promise<void> {
    for (let isDone = false; !isDone; ) {
      await Promise.all([this.#definitions.reload(), this.rows.reload()]);
      isDone = await this.#db.transaction(async (tx) => {
        const [now] = await tx.query<{ revision: number }>(
          'select revision from definitions_revision for share',
        );
        if (now!.revision !== this.#definitions.revision) return false;
        await Promise.all([retireViews(tx, this.#wanted()), this.rows.retire(tx)]);
        return true;
      });
    }
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
    const rows = await this.#db.query<Fingerprinted & { built: string }>(
      `select id, status, version, ${IS_FED} as "isFed", built::text as built from feature_views order by name, version, id`,
    );
    const joined = rows.filter(({ status }) => status !== 'requested' && status !== 'copied');
    if (fingerprintOf(joined) !== this.#fingerprint || (await this.rows.isStale())) await this.reload();
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
    await this.rows.reload();
    const rows = await this.#db.query<ViewRow>(
      `select id, name, version, meaning, status, joined::text[] as joined, copied::text[] as copied, range_from as "rangeFrom",
         range_to as "rangeTo", include_late as "includeLate", join_number as "joinNumber", ${IS_FED} as "isFed"
       from feature_views where status not in ('requested', 'copied') order by name, version, id`,
    );
    const known = new Map<number, KnownView>();
    // Fed by every process: a gap would stay when somebody becomes held to it.
    for (const row of rows.filter(({ isFed }) => isFed)) {
      const kept = this.#known.get(row.id);
      if (kept?.row.status === row.status && kept.row.version === row.version) known.set(row.id, kept);
      else {
        const compiled = kept ? asVersion(kept.compiled, row.version) : await this.#compileView(row);
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
    this.#ready = new Map();
    this.#byType = new Map();
    this.#services.clear();
    for (const view of known.values()) {
      const { name, meaning, status } = view.row;
      if (status === 'ready') this.#inForce.set(name, view); // they come in the order of versions and generations
      if (status === 'ready') this.#ready.set(`${name}@${meaning}`, view);
      const type = view.compiled.eventType;
      this.#byType.set(type, [...(this.#byType.get(type) ?? []), view.compiled]);
    }
  }

  /** A pass has brought a version of a batch view online: the first pass of a version puts it in force. */
  async brought(view: RowView): Promise<void> {
    if (this.rows.isReady(view)) return;
    await this.#retire();
    await this.reload();
  }

  /** Changes whenever the views may be others. */
  get generation(): number {
    return this.#reloaded;
  }

  ofType(type: string): readonly CompiledView[] {
    return this.#byType.get(type) ?? [];
  }

  /** Whether a view is fed only for processes that have not looked since it was replaced. */
  isReplaced({ id }: CompiledView): boolean {
    return this.#known.get(id)?.row.status === 'retired';
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

  /** The stream views that are served: of each the version in force, and those that somebody is held to; of versions that share their state one. */
  streams(): CompiledView[] {
    return [...this.#ready.values()].map(({ compiled }) => compiled);
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
      if (!known(VIEW, view))
        throw new AiosError('features.unknown_view', { detail: `There is no feature view “${view}”.` });
    const issues = listedIssues({ views, fullFeatureNames }, '/views', {
      find: findIn(this.#definitions),
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
      // A service may name features that only the newest version has, which is not in force yet.
      const newest = (name: string) => this.#definitions.latest(VIEW, name)!.version;
      const stream = views.streams.find(({ view }) => newest(view.name) !== view.version);
      if (stream) throw building(stream.view.name);
      const row = views.rows.find(({ view }) => newest(view.name) !== view.version);
      throw row ? firstPass({ ...row.view, version: newest(row.view.name) }) : error;
    }
  }

  /** The version of a view in force, or the one that it is held to. */
  #find({ view: name, version: held }: Projection, building: (view: string) => AiosError): FoundView {
    const definition =
      held === undefined ? this.#definitions.latest(VIEW, name)! : this.#definitions.at(VIEW, name, held);
    if (!definition) throw building(name); // the definitions that hold it are read at this moment
    const { version, body } = definition;
    const kind = kindOfView(body as unknown as FeatureViewBody);
    if (kind === 'on-demand')
      return { onDemand: { name, version, body: body as unknown as OnDemandViewBody } };
    if (kind !== 'stream') {
      const row = this.rows.at(name, held)!;
      return { row, isAwaited: held !== undefined && !this.rows.isReady(row) };
    }
    const own = this.#ready.get(`${name}@${stateMeaningOf(body as unknown as StreamViewBody)}`);
    if (own) return { stream: asVersion(own.compiled, version) };
    const before = held === undefined ? this.#inForce.get(name) : undefined;
    if (!before) throw building(name);
    return { stream: before.compiled };
  }

  #entity(name: string): EntityBody {
    return this.#definitions.latest('entity', name)!.body as unknown as EntityBody;
  }

  /** The offset rows are locked while a view joins: no batch is half before and half after. */
  async #join({ name, version, meaning }: { name: string; version: number; meaning: string }): Promise<void> {
    await this.#db.transaction(async (tx) => {
      const known = await tx.query<{ status: string; generation: number; version: number }>(
        'select status, generation, version from feature_views where name = $1 and meaning = $2',
        [name, meaning],
      );
      const fed = known.filter(({ status }) => status !== 'retired');
      if (fed.some((of) => of.version < version))
        await tx.query(
          "update feature_views set version = $3 where name = $1 and meaning = $2 and status <> 'retired' and version < $3",
          [name, meaning, version],
        );
      if (fed.length > 0) return;
      const generation = Math.max(-1, ...known.map((of) => of.generation)) + 1; // what was retired is fed no more, or soon not: built anew
      const joined = await readOffsets(tx, this.#group, 'for update');
      await tx.query(
        `insert into feature_views (name, version, meaning, generation, joined, built, status)
         values ($1, $2, $3, $4, $5::bigint[], $6::bigint[], $7) on conflict do nothing`,
        [
          name,
          version,
          meaning,
          generation,
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

  /** The views that are being built, or are to be, and have still to read a part of the log before these offsets, one for each partition. */
  async behind(tx: Queryable, ends: readonly number[]): Promise<string[]> {
    const rows = await tx.query<{ name: string }>(
      `select distinct name from feature_views v, unnest($1::bigint[]) with ordinality as e(log_offset, number)
       where status in ('requested', 'copied') or status = 'building' and v.built[number::int] < least(e.log_offset, v.joined[number::int])
       order by name`,
      [ends],
    );
    return rows.map(({ name }) => `feature view ${name}`);
  }
}

type Fingerprinted = Pick<ViewRow, 'id' | 'status' | 'version' | 'isFed'>;

function fingerprintOf(rows: readonly Fingerprinted[]): string {
  return rows.map(({ id, status, version, isFed }) => `${id} ${status} ${version} ${isFed}`).join();
}

/** The same state under the number of another version that means the same. */
function asVersion(view: CompiledView, version: number): CompiledView {
  return view.version === version ? view : { ...view, version };
}
