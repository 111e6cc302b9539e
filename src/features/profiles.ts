import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database } from '../store/database.ts';
import type { Committer } from '../store/group-commit.ts';
import { plannedLane, type Write, write } from '../store/lane.ts';
import { columns, timestamp } from '../store/rows.ts';
import type { FeatureStore } from './feature-store.ts';
import type { SpineRow } from './historical.ts';
import { compareWithProfile, type Finding, type Profile, profileOf, type Thresholds } from './profile.ts';
import { type Sample, sampleView } from './view-sample.ts';
import type { FeatureViews } from './views.ts';

/** What a profile is of: a stored view as it is now, or the vectors of a service at places in the past. */
export type ProfileSource =
  | { readonly view: string }
  | { readonly service: string; readonly spine: readonly SpineRow[] };

/** A profile that was saved under a name; a name saved again is a new version. */
export interface SavedProfile {
  readonly name: string;
  readonly version: number;
  /** The view or service that it is of. */
  readonly source: { readonly view?: string; readonly service?: string };
  readonly profile: Profile;
  readonly createdAt: number;
  readonly createdBy: string;
}

interface Item {
  name: string;
  source: SavedProfile['source'];
  profile: Profile;
  by: string;
  at: number;
}

/** The number is the next one of the name: those who save at one time wait for each other at the key. */
const lane = plannedLane<Item>({
  name: 'profiles of features',
  order: 45,
  plan: (items) => ({
    statements: [
      {
        text: `insert into feature_profiles (name, version, source, profile, created_at, created_by)
          select i.name, coalesce((select max(version) from feature_profiles p where p.name = i.name), 0)
            + row_number() over (partition by i.name order by position), i.source, i.profile, i.created_at, i.created_by
          from unnest($1::text[], $2::json[], $3::json[], $4::timestamptz[], $5::text[])
            with ordinality as i(name, source, profile, created_at, created_by, position)
          where not exists (select from feature_profiles p
            where p.name = i.name and p.created_at = i.created_at and p.created_by = i.created_by)`, // sent again
        values: columns(items, ({ name, source, profile, by, at }) => [
          name,
          JSON.stringify(source),
          JSON.stringify(profile),
          timestamp(at),
          by,
        ]),
      },
    ],
  }),
});

const COLUMNS =
  'name, version, source, profile, created_at as "createdAt", created_by as "createdBy" from feature_profiles';

interface Dependencies {
  db: Database;
  commit: Committer;
  clock: Pick<Clock, 'now'>;
  views: FeatureViews;
  features: Pick<FeatureStore, 'historical'>;
  limits: Pick<Limits, 'featureProfileRowsMax'>;
}

/**
 * Reference profiles: how features lay when they were good, and whether they still do.
 *
 * @example await profiles.validate('orders', { view: 'customer-orders' }, {}) // { findings: [], … }
 */
export class FeatureProfiles {
  readonly #deps: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
  }

  /** Saves the profile of what a source holds, committed with `records`. @throws AiosError of the source */
  async save(
    { name, source, by }: { name: string; source: ProfileSource; by: string },
    records: readonly Write[],
  ): Promise<SavedProfile> {
    const { names, rows } = await this.#sample(source);
    const profile = profileOf(names, rows);
    const of = 'view' in source ? { view: source.view } : { service: source.service };
    const item: Item = { name, source: of, profile, by, at: this.#deps.clock.now() };
    await this.#deps.commit.commit([write(lane, item), ...records]);
    return this.get(name);
  }

  /** The newest version of each name. */
  list(): Promise<SavedProfile[]> {
    return this.#deps.db.query(`select distinct on (name) ${COLUMNS} order by name, version desc`);
  }

  /** The newest version, or the one that is named. @throws AiosError `features.unknown_profile` */
  async get(name: string, version?: number): Promise<SavedProfile> {
    const [found] = await this.#deps.db.query<SavedProfile>(
      `select ${COLUMNS} where name = $1 and ($2::int is null or version = $2) order by version desc limit 1`,
      [name, version ?? null],
    );
    if (!found) throw new AiosError('features.unknown_profile', { detail: `There is no profile “${name}”.` });
    return found;
  }

  /**
   * Whether what a source holds now lies as the profile says; without a source, the view that it was made of.
   *
   * @throws AiosError `features.unknown_profile`, `features.profile_source`, and those of the source
   */
  async validate(
    name: string,
    source: ProfileSource | undefined,
    thresholds: Partial<Thresholds>,
  ): Promise<{ version: number; rows: number; findings: Finding[]; current: Profile }> {
    const saved = await this.get(name);
    if (!source && !saved.source.view) {
      throw new AiosError('features.profile_source', {
        detail: `The profile “${name}” is of the service “${saved.source.service}” at places in the past.`,
      });
    }
    const { names, rows } = await this.#sample(source ?? { view: saved.source.view! });
    return {
      version: saved.version,
      rows: rows.length,
      findings: compareWithProfile(saved.profile, names, rows, thresholds),
      current: profileOf(names, rows),
    };
  }

  #sample(source: ProfileSource): Promise<Sample> {
    const { features, limits } = this.#deps;
    return 'view' in source
      ? sampleView(this.#deps, source.view, limits.featureProfileRowsMax)
      : features.historical(source.service, source.spine);
  }
}
