import type { FindBody } from '../kernel/definition-lineage.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Database } from '../store/database.ts';
import { type Definition, type Definitions, findIn } from '../store/definitions.ts';
import { stateMeaningOf } from './compiled.ts';
import type { FeatureServiceBody } from './definitions.ts';
import type { Described } from './document-parts.ts';
import type { FeatureFreshness } from './freshness.ts';
import { type HeldView, heldIn } from './held-views.ts';
import { featuresOfView, joinKeysOf } from './listed-views.ts';
import { type ListedView, listedFeatures, projectionOf } from './projections.ts';
import type { RowView } from './row-view.ts';
import type { ServedRows } from './served-rows.ts';
import {
  type BatchViewBody,
  type FeatureViewBody,
  kindOfView,
  type OnDemandViewBody,
  type StreamViewBody,
  type ValueType,
  type ViewKind,
} from './view-documents.ts';

/** A feature of a view, as people look it up. */
interface FeatureSummary extends Described {
  name: string;
  /** The type of its values, or how they are aggregated. */
  type: string;
}

type VersionStatus = 'ready' | 'building' | 'not-materialized';

/** A version of a view, and who takes it. */
interface ServedVersion {
  version: number;
  status: VersionStatus;
  /** Whoever is held to no version takes this one. */
  inForce: boolean;
  /** What is held to it, as `feature-service return-risk`. */
  heldBy: string[];
}

/** A view as it stands: what it is, and how fresh. */
export interface ViewSummary extends Described {
  name: string;
  version: number;
  kind: ViewKind;
  entity: string | null;
  /** What an entity is asked for by: of a computed view those of the views that it reads. */
  joinKeys: string[];
  features: FeatureSummary[];
  /**
   * Whether the newest version is served (`ready`): of a stream view it may still be being built from the log (`building`), of a batch view no pass may have
   * brought it online yet (`not-materialized`): until then it answers nothing, or what the version before it held.
   */
  status: VersionStatus;
  /** The versions that are served or will be: the one in force, those that definitions are held to, the newest. */
  served: ServedVersion[];
  /** The newest event or row; null before there is one. */
  newestMs: number | null;
  /** Events that came later than the view bears and were set aside. */
  lateEvents: number;
  services: string[];
}

/** A service as it stands: what a request for it brings, and what it answers. */
export interface ServiceSummary extends Described {
  name: string;
  version: number;
  views: readonly ListedView[];
  joinKeys: string[];
  /** Values that the request itself brings to computed views, by name. */
  request: Record<string, ValueType>;
  /** The names of its vector. */
  features: readonly string[];
}

/** An event that came too late for a view: where it stands in the log, and by how much it was late. */
export interface LateEvent {
  partition: number;
  offset: number;
  timeMs: number;
  lateMs: number;
}

/** The kinds of definitions that may be held to a version of a view. */
const HOLDERS = ['feature-service', 'feature-view', 'dataset'];
/** Of each stream view what is served to those who are held to no version, as a relation. */
const IN_FORCE = `(select distinct on (name) id, name from feature_views where status = 'ready' order by name, version desc, id desc)`;

/** The state of a stream view that is whole: the newest version that it is of, and what that means. */
interface Built {
  name: string;
  version: number;
  meaning: string;
}

interface Dependencies {
  db: Database;
  definitions: Definitions;
  freshness: FeatureFreshness;
  rows: Pick<ServedRows, 'at' | 'isReady'>;
}

/** What the definitions of features and the state behind them say together. */
export class FeatureOverview {
  readonly #deps: Dependencies;
  readonly #find: FindBody;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
    this.#find = findIn(dependencies.definitions);
  }

  /** All views by name. */
  async views(): Promise<ViewSummary[]> {
    const { db, definitions, freshness } = this.#deps;
    const [newest, built, late] = await Promise.all([
      freshness.newest(),
      db.query<Built>("select distinct name, version, meaning from feature_views where status = 'ready'"),
      db.query<{ name: string; count: number }>(
        `select v.name, count(*) as count from feature_late_events l join ${IN_FORCE} v on v.id = l.view group by v.name`,
      ),
    ]);
    const ready = Map.groupBy(built, ({ name }) => name);
    const held = heldIn(
      [...HOLDERS.flatMap((kind) => definitions.list(kind)), ...definitions.held()],
      (name) => definitions.latest('feature-view', name)!.version + 1, // of the newest, too
    );
    const lateOf = new Map(late.map(({ name, count }) => [name, count]));
    return definitions
      .list('feature-view')
      .map((definition) => ({
        ...summaryOf(
          definition,
          [
            ...this.#built(definition, ready.get(definition.name) ?? [], held),
            ...this.#brought(definition, held),
          ],
          held.filter(({ name }) => name === definition.name),
        ),
        joinKeys: joinKeysOf([definition.name], this.#find),
        newestMs: newest.get(definition.name) ?? null,
        lateEvents: lateOf.get(definition.name) ?? 0,
        services: this.#servicesOf(definition.name),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The versions of a stream view whose state is whole: those that mean the same share it. */
  #built({ name, version, body }: Definition, ready: readonly Built[], held: readonly HeldView[]): number[] {
    if (ready.length === 0) return []; // of a view of another kind, too
    const { definitions } = this.#deps;
    const bodies = held.flatMap((of): [number, JsonObject | undefined][] =>
      of.name === name ? [[of.version, definitions.at('feature-view', name, of.version)?.body]] : [],
    );
    const meanings = new Set(ready.map(({ meaning }) => meaning));
    const shared = [[version, body] as const, ...bodies].filter(
      ([, of]) => of !== undefined && meanings.has(stateMeaningOf(of as unknown as StreamViewBody)),
    );
    return [...ready.map((of) => of.version), ...shared.map(([of]) => of)];
  }

  /** The versions of a batch view that passes have brought online. */
  #brought({ name, version }: Definition, held: readonly HeldView[]): number[] {
    const { rows } = this.#deps;
    const versions = [undefined, version, ...held.flatMap((of) => (of.name === name ? [of.version] : []))];
    const found = versions.flatMap((of): RowView | [] => rows.at(name, of) ?? []);
    return found.filter((view) => view.isOnline && rows.isReady(view)).map((view) => view.version);
  }

  /** @throws AiosError `features.unknown_view` */
  async view(name: string): Promise<ViewSummary> {
    const found = (await this.views()).find((view) => view.name === name);
    if (!found)
      throw new AiosError('features.unknown_view', { detail: `There is no feature view “${name}”.` });
    return found;
  }

  /** All services by name. */
  services(): ServiceSummary[] {
    return this.#deps.definitions
      .list('feature-service')
      .map(({ name, version, body }) =>
        this.#serviceOf(version, { ...(body as object), name } as FeatureServiceBody),
      )
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #serviceOf(version: number, service: FeatureServiceBody): ServiceSummary {
    const { name, views, derived = {}, features } = service;
    const listed = listedFeatures(service, (each) => featuresOfView(each, this.#find));
    const asked = views.flatMap((each) => {
      const { view: named, version } = projectionOf(each);
      const view = this.#find('feature-view', named, version) as unknown as FeatureViewBody;
      return kindOfView(view) === 'on-demand' ? [(view as OnDemandViewBody).source.request ?? {}] : [];
    });
    return {
      ...describedOf(service),
      ...{ name, version, views },
      joinKeys: joinKeysOf(views, this.#find),
      request: Object.assign({}, ...asked),
      features: features ?? [...listed.map((each) => each.name), ...Object.keys(derived)],
    };
  }

  /** What a view has set aside (`late: dead-letter`), the newest event times first. @throws AiosError `features.unknown_view` */
  async lateEvents(name: string, countMax: number): Promise<LateEvent[]> {
    await this.view(name);
    return this.#deps.db.query(
      `select l.partition, l.log_offset as "offset", l.time_ms as "timeMs", l.late_ms as "lateMs"
       from feature_late_events l join ${IN_FORCE} v on v.id = l.view
       where v.name = $1 order by l.time_ms desc, l.partition, l.log_offset desc limit $2`,
      [name, countMax],
    );
  }

  #servicesOf(view: string): string[] {
    return this.#deps.definitions
      .list('feature-service')
      .filter(({ body }) =>
        (body as unknown as FeatureServiceBody).views.some((listed) => projectionOf(listed).view === view),
      )
      .map(({ name }) => name);
  }
}

function summaryOf(
  { name, version, body }: Definition,
  ready: readonly number[],
  held: readonly HeldView[],
): Omit<ViewSummary, 'newestMs' | 'lateEvents' | 'services' | 'joinKeys'> {
  const view = body as unknown as FeatureViewBody;
  const kind = kindOfView(view);
  return {
    ...describedOf(view),
    name,
    version,
    kind,
    entity: kind === 'on-demand' ? null : (view as StreamViewBody).entity,
    features: featuresOf(view),
    status: statusOf(view, ready.includes(version)),
    served: servedOf(view, version, ready, held),
  };
}

function statusOf(view: FeatureViewBody, isNewest: boolean): ViewSummary['status'] {
  const kind = kindOfView(view);
  if (isNewest || (kind !== 'stream' && kind !== 'batch')) return 'ready';
  if (kind === 'stream') return 'building';
  return (view as BatchViewBody).online === false ? 'ready' : 'not-materialized';
}

function servedOf(
  view: FeatureViewBody,
  newest: number,
  ready: readonly number[],
  held: readonly HeldView[],
): ServedVersion[] {
  const isDirect = statusOf(view, false) === 'ready'; // neither built nor brought: the newest is there at once
  const inForce = isDirect || ready.length === 0 ? newest : Math.max(...ready);
  const versions = [...new Set([...held.map(({ version }) => version), inForce, newest])];
  return versions
    .sort((a, b) => a - b)
    .map((version) => ({
      version,
      status: statusOf(view, ready.includes(version)),
      inForce: version === inForce,
      heldBy: [...(held.find((of) => of.version === version)?.by ?? [])],
    }));
}

function featuresOf({ features }: FeatureViewBody): FeatureSummary[] {
  const each = Object.entries(features) as [
    string,
    OnDemandViewBody['features'][string] & { aggregate?: string },
  ][];
  return each.map(([name, feature]) => ({
    ...describedOf(feature),
    name,
    type: feature.aggregate ?? feature.type,
  }));
}

function describedOf({ description, owner, tags }: Described): Described {
  return {
    ...(description === undefined ? {} : { description }),
    ...(owner === undefined ? {} : { owner }),
    ...(tags === undefined ? {} : { tags }),
  };
}
