import type { EventConsumers } from '../../events/consumers.ts';
import type { EventLog } from '../../events/log.ts';
import { logBegin } from '../../events/retention/log-begin.ts';
import { FeatureBackfills } from '../../features/backfills.ts';
import { CachedOnlineStore } from '../../features/cached-online-store.ts';
import type { OnDemandFunctions } from '../../features/computed-features.ts';
import { FeatureExpiry } from '../../features/expiry/expiry.ts';
import { FeatureStore } from '../../features/feature-store.ts';
import { FeatureFreshness } from '../../features/freshness.ts';
import { FunctionModules } from '../../features/functions/function-modules.ts';
import { Materializations } from '../../features/materializations.ts';
import { BatchSources } from '../../features/offline/batch-sources.ts';
import { FileJoins } from '../../features/offline/file-joins.ts';
import { FileSources } from '../../features/offline/file-source.ts';
import { HistoricalFiles } from '../../features/offline/historical-files.ts';
import { OfflineJobs } from '../../features/offline/jobs.ts';
import { type OnlineStore, PostgresOnlineStore } from '../../features/online-store.ts';
import { FeatureOverview } from '../../features/overview.ts';
import { FeatureProfiles } from '../../features/profiles.ts';
import { FeaturePush } from '../../features/push.ts';
import { PushedRows } from '../../features/pushed-rows.ts';
import { RedisOnlineStore } from '../../features/redis/redis-online-store.ts';
import { TableSources } from '../../features/table-source.ts';
import { FeatureViews } from '../../features/views.ts';
import type { Definitions } from '../../store/definitions.ts';
import type { Ground } from './ground.ts';

const GROUP = 'features';

/** The features that a consumer of the log keeps, that tables hold, and that are pushed. */
export function createFeatures(
  ground: Ground,
  definitions: Definitions,
  log: EventLog,
  consumers: EventConsumers,
) {
  const { db, commit, changes, clock, limits, troubles } = ground;
  const views = new FeatureViews({
    db,
    definitions,
    group: GROUP,
    readLog: (partition, offset, countMax) => log.read(partition, offset, countMax),
    logBegin,
    onError: troubles.of('A feature view leaves out an event of the past'),
    functions: onDemandFunctions(ground),
  });
  const jobs = new OfflineJobs(listOf('AIOS_FEATURE_FOLDERS'), limits);
  const rows = createRowStores(ground, jobs);
  const freshness = new FeatureFreshness({
    db,
    clock,
    limits,
    onError: troubles.of('How new the features are was not written down'),
  });
  const progress = consumers.add({ group: GROUP, handle: (batch, tx) => features.handle(batch, tx) });
  const features: FeatureStore = new FeatureStore({ db, views, clock, limits, progress, rows, freshness });
  log.onCommitted((appended) => features.apply(appended));
  return {
    views,
    features,
    featurePush: new FeaturePush({ db, views, rows, clock, freshness }),
    featureOverview: new FeatureOverview({ db, definitions, freshness, rows: views.rows }),
    featureProfiles: new FeatureProfiles({ db, commit, clock, views, features, limits }),
    featureBackfills: new FeatureBackfills({
      commit,
      views,
      logBegin: () => logBegin(db),
      onError: troubles.of('A back-fill of features waits'),
    }),
    freshness,
    featureExpiry: new FeatureExpiry({
      db,
      views,
      horizons: features.horizons,
      clock,
      limits,
      onError: troubles.of('State of features that is too old waits'),
    }),
    materializations: new Materializations({
      db,
      commit,
      views,
      rows,
      clock,
      limits,
      freshness,
      changes,
      onError: troubles.of('A materialization waits'),
    }),
    fileJoins: new FileJoins({
      db,
      commit,
      clock,
      files: new HistoricalFiles(jobs, features),
      limits,
      changes,
      onError: troubles.of('A historical join waits'),
    }),
  };
}

function onDemandFunctions({ limits, closers, featureFunctions }: Ground): OnDemandFunctions {
  const modules = new FunctionModules(limits);
  closers.push(async () => modules.close());
  return { registered: featureFunctions, modules };
}

/** The rows of views that are no streams: online, of the past, pushed. */
function createRowStores(ground: Ground, jobs: OfflineJobs) {
  const { db, limits } = ground;
  return {
    online: new CachedOnlineStore(onlineStore(ground), db, limits),
    tables: new BatchSources({
      tables: new TableSources(db, listOf('AIOS_FEATURE_SCHEMAS')),
      files: new FileSources(jobs),
    }),
    pushed: new PushedRows(db),
  };
}

/** Postgres, and Redis over it where the operator has one (`AIOS_REDIS_URL`). */
function onlineStore({ db, limits, troubles, closers }: Ground): OnlineStore {
  const inner = new PostgresOnlineStore(db);
  const url = process.env.AIOS_REDIS_URL;
  if (!url) return inner;
  const onError = troubles.of('Redis does not answer: features are read from Postgres');
  const redis = new RedisOnlineStore({ inner, db, url, limits, onError });
  closers.push(() => redis.close());
  return redis;
}

/** Which schemas of the database batch views may read, and which folders of the machine, as the operator says. */
function listOf(variable: 'AIOS_FEATURE_SCHEMAS' | 'AIOS_FEATURE_FOLDERS'): string[] {
  const list = process.env[variable]?.split(',') ?? [];
  return list.map((name) => name.trim()).filter(Boolean);
}
