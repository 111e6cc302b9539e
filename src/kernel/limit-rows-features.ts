import { type LimitRow, limit } from './limit-row.ts';

/** Limits of features, of the joins and datasets made of them. */
export const FEATURE_LIMITS = {
  featureEntitiesCachedMax: limit(50_000, 'entities whose feature state is kept in memory'),
  featureContributionsCachedMax: limit(
    1_000_000,
    'contributions and tiles of those entities, at about 150 bytes each; one historical query keeps as many',
  ),
  featureRowsCachedMax: limit(
    100_000,
    'entities per batch or push view whose newest row is kept in memory, at about 400 bytes each',
  ),
  featureViewVersionsMax: limit(
    4,
    'versions of one feature view kept in parallel: the newest, and those that services, computed views or datasets are pinned to; each has its own state, which is kept up to date',
  ),
  featureRequestRowsMax: limit(
    10_000,
    'entities, rows of a spine or pushed rows in one request, and rows given for one version of a dataset; send more in several requests, or in files',
  ),
  featureRequestViewsMax: limit(100, 'views in one request that names no feature service'),
  featureMaterializeRowsMax: limit(
    2_000,
    'entities in one page of a materialization: one transaction, and the most work that is lost when a process dies',
  ),
  featureMaterializeOverlapMs: limit(
    300_000,
    'how far before the end of the last one an incremental materialization starts, for rows that were committed this long after their time',
  ),
  featureMaterializePollMs: limit(1_000, 'how often a process looks for a materialization to continue'),
  featureProfileRowsMax: limit(10_000, 'entities of a view that its profile is computed from, in key order'),
  featureFunctionMs: limit(
    250,
    'CPU time that the functions of a TypeScript on-demand view may use for one row',
  ),
  featureFunctionBytesMax: limit(32 * 1024 * 1024, 'memory of the functions of one such view'),
  featureFunctionThreadsMax: limit(
    8,
    'such views whose functions a process keeps loaded, each in a thread of about 12 MB; loading another takes 60 ms',
  ),
  featureFreshnessMs: limit(1_000, 'how often a process records the freshness of its feature views'),
  featureOnlineStaleMs: limit(
    250,
    'how old a cached row may be when another process has written a newer one; past it the next read checks first',
  ),
  featureRetentionMs: limit(
    315_576_000_000,
    'how far back historical vectors are available from a view without “retention” (10 years); state older than they need is dropped',
  ),
  featureExpireRowsMax: limit(
    5_000,
    'rows of state that one transaction checks to drop those that are too old',
  ),
  featureExpirePollMs: limit(10_000, 'how often a process looks for feature state that is too old'),
  featureRedisTtlMs: limit(
    3_600_000,
    'how long Redis keeps the newest row of an entity that is neither read nor written',
  ),
  featureRedisMarkMs: limit(
    60_000,
    'how long a row stays marked as being written in Redis if the writing process dies; until then it is read from Postgres',
  ),
  featureRedisTimeoutMs: limit(
    250,
    'how long to wait for a connection to Redis or an answer from it before Postgres is asked',
  ),
  featureRedisRetryMs: limit(1_000, 'how long Redis is left alone after it did not answer'),
  offlineMemoryBytesMax: limit(
    512 * 1024 * 1024,
    'memory of one job over files (a historical join, a dataset) before it spills rows to disk; the process uses about 250 MiB more',
  ),
  offlineJobsMax: limit(2, 'such jobs at once in one process; others wait'),
  passLeaseMs: limit(
    15_000,
    'how long a historical join of files, or a dataset build, stays with a process that died; renewed every third of it, or with its progress',
  ),
  passProgressMs: limit(1_000, 'how often the progress of such work is recorded: one update of one row'),
  passAttemptsMax: limit(
    3,
    'processes that may die while they work on one historical join of files, or one dataset build, before it is abandoned',
  ),
  offlineThreadsMax: limit(2, 'threads of one such job: it runs beside requests that people wait for'),
  offlineSpillBytesMax: limit(16 * 1024 * 1024 * 1024, 'bytes that one such job may spill to disk'),
  datasetRowsMax: limit(20_000_000, 'rows of one version of a dataset'),
  datasetBytesMax: limit(
    4 * 1024 * 1024 * 1024,
    'bytes of the Parquet file of one version of a dataset, and of an uploaded file of entity rows',
  ),
  datasetJobsMax: limit(
    2,
    'versions of datasets that one process builds at a time; it may compare or convert as many',
  ),
  datasetBuildsMax: limit(1_000, 'dataset builds that run or wait, over all processes'),
  datasetRetentionPassMs: limit(
    3_600_000,
    'how often to look for versions of datasets that are past their retention',
  ),
} as const satisfies Record<string, LimitRow>;
