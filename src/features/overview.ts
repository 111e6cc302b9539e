import type { FindBody } from '../kernel/definition-lineage.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Database } from '../store/database.ts';
import type { Definition, Definitions } from '../store/definitions.ts';
import type { FeatureServiceBody } from './definitions.ts';
import type { Described } from './document-parts.ts';
import type { FeatureFreshness } from './freshness.ts';
import { featuresOfView, joinKeysOf } from './listed-views.ts';
import { type ListedView, listedFeatures, projectionOf } from './projections.ts';
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
  status: 'ready' | 'building' | 'not-materialized';
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

interface Dependencies {
  db: Database;
  definitions: Definitions;
  freshness: FeatureFreshness;
}

/** What the definitions of features and the state behind them say together. */
export class FeatureOverview {
  readonly #deps: Dependencies;
  readonly #find: FindBody;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
    this.#find = (kind, name) => dependencies.definitions.latest(kind, name)?.body;
  }

  /** All views by name. */
  async views(): Promise<ViewSummary[]> {
    const { db, definitions, freshness } = this.#deps;
    const [newest, built, brought, late] = await Promise.all([
      freshness.newest(),
      db.query<{ name: string; version: number }>(
        "select name, max(version)::int as version from feature_views where status = 'ready' group by name",
      ),
      db.query<{ name: string; version: number }>(
        "select view as name, max(version)::int as version from feature_materializations where status = 'done' group by view",
      ),
      db.query<{ name: string; count: number }>(
        "select v.name, count(*) as count from feature_late_events l join feature_views v on v.id = l.view where v.status = 'ready' group by v.name",
      ),
    ]);
    const ready = new Map([...built, ...brought].map(({ name, version }) => [name, version]));
    const lateOf = new Map(late.map(({ name, count }) => [name, count]));
    return definitions
      .list('feature-view')
      .map((definition) => ({
        ...summaryOf(definition, ready.get(definition.name)),
        joinKeys: joinKeysOf([definition.name], this.#find),
        newestMs: newest.get(definition.name) ?? null,
        lateEvents: lateOf.get(definition.name) ?? 0,
        services: this.#servicesOf(definition.name),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
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
    const listed = listedFeatures(service, (view) => featuresOfView(view, this.#find));
    const asked = views.flatMap((each) => {
      const view = this.#find('feature-view', projectionOf(each).view) as unknown as FeatureViewBody;
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
       from feature_late_events l join feature_views v on v.id = l.view
       where v.name = $1 and v.status = 'ready' order by l.time_ms desc, l.partition, l.log_offset desc limit $2`,
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
  ready: number | undefined,
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
    status: statusOf(view, ready === version),
  };
}

function statusOf(view: FeatureViewBody, isNewest: boolean): ViewSummary['status'] {
  const kind = kindOfView(view);
  if (isNewest || (kind !== 'stream' && kind !== 'batch')) return 'ready';
  if (kind === 'stream') return 'building';
  return (view as BatchViewBody).online === false ? 'ready' : 'not-materialized';
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
