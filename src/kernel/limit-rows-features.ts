import { type LimitRow, limit } from './limit-row.ts';

/** Limits of features, of the joins and datasets made of them. */
export const FEATURE_LIMITS = {
  featureEntitiesCachedMax: limit(50_000, 'entities whose feature state is kept in memory'),
  featureContributionsCachedMax: limit(
    1_000_000,
    'contributions and tiles of those entities, at about 150 bytes each; as many are kept by one historical query',
  ),
  featureRowsCachedMax: limit(
    100_000,
    'entities per batch or push view whose newest row is kept in memory, at about 400 bytes each',
  ),
  featureViewVersionsMax: limit(
    4,
    'versions of one feature view that are kept beside each other, the newest and those that services, computed views or datasets are held to: the state of each is kept, and kept up to date, apart',
  ),
  featureMaterializeRowsMax: limit(
    2_000,
    'entities of a page of a materialization: one transaction, of which a process that dies loses the last',
  ),
  featureMaterializeOverlapMs: limit(
    300_000,
    'how far before the last one an incremental materialization begins: a row may be committed so long after its time',
  ),
  featureMaterializePollMs: limit(1_000, 'how often a process looks for a materialization to go on with'),
  featureProfileRowsMax: limit(
    10_000,
    'entities of a view that its profile is made of, in the order of their keys',
  ),
  featureFunctionMs: limit(
    250,
    'how much time of a processor the functions of an on-demand view in TypeScript may take for one row',
  ),
  featureFunctionBytesMax: limit(32 * 1024 * 1024, 'memory of the functions of one such view'),
  featureFunctionThreadsMax: limit(
    8,
    'such views whose functions a process holds ready, each in a thread of about 12 MB; another one begins in 60 ms',
  ),
  featureFreshnessMs: limit(1_000, 'how often a process writes down how new its feature views are'),
  featureOnlineStaleMs: limit(
    250,
    'how old a row in memory may be when another process has written a newer one: past it the next reader looks first',
  ),
  featureRetentionMs: limit(
    315_576_000_000,
    'how long before now vectors of the past may be asked of a view that states no “retention” (10 years): state that is older than these need is dropped',
  ),
  featureExpireRowsMax: limit(
    5_000,
    'rows of state that a transaction goes through to drop those that are too old',
  ),
  featureExpirePollMs: limit(10_000, 'how often a process looks whether state of features is too old'),
  featureRedisTtlMs: limit(
    3_600_000,
    'how long Redis keeps the newest row of an entity that nobody asks for or writes',
  ),
  featureRedisMarkMs: limit(
    60_000,
    'how long a row counts as being written in Redis when the process that writes it dies: until then it is read from Postgres',
  ),
  featureRedisTimeoutMs: limit(
    250,
    'how long an answer of Redis is waited for, and a connection to it: then Postgres is asked',
  ),
  featureRedisRetryMs: limit(1_000, 'how long Redis is not asked again after it did not answer'),
  offlineMemoryBytesMax: limit(
    512 * 1024 * 1024,
    'memory of one job over files (a historical join, a dataset) before it puts rows on disk; the process holds about 250 MiB more',
  ),
  offlineJobsMax: limit(2, 'such jobs at once in one process; others wait'),
  passLeaseMs: limit(
    15_000,
    'how long a historical join of files, or a dataset that is made, stays with a process that died; renewed every third of it, or with its progress',
  ),
  passProgressMs: limit(
    1_000,
    'how often the rows of such work are written down for those who look at it: one update of one row',
  ),
  passAttemptsMax: limit(
    3,
    'processes that may die over one historical join of files, or one dataset that is made, before it is given up',
  ),
  offlineThreadsMax: limit(2, 'threads of one such job: it runs beside what people wait for'),
  offlineSpillBytesMax: limit(16 * 1024 * 1024 * 1024, 'bytes that one such job puts on disk'),
  datasetRowsMax: limit(20_000_000, 'rows of one version of a dataset'),
  datasetBytesMax: limit(
    4 * 1024 * 1024 * 1024,
    'bytes of the Parquet file of one version of a dataset, and of a file of entity rows that is sent for one',
  ),
  datasetJobsMax: limit(
    2,
    'versions of datasets that one process makes at a time, and as many that it compares or converts',
  ),
  datasetBuildsMax: limit(
    1_000,
    'versions of datasets that are being made, or wait for it, in all processes',
  ),
  datasetRetentionPassMs: limit(
    3_600_000,
    'how often versions of datasets are looked for that their retention has passed',
  ),
} as const satisfies Record<string, LimitRow>;
