const limit = (value: number, why: string) => ({ value, why });

/** Limits of the lineage graph and of OpenLineage. */
export const LINEAGE_LIMITS = {
  lineageNodesMax: limit(5_000, 'nodes that one lineage query returns; a person reads no more'),
  lineageDepthMax: limit(
    200,
    'edges between the queried node and the farthest one returned, each a database query; two for each job of a pipeline',
  ),
  lineageEventEdgesMax: limit(
    20_000,
    'edges in one received OpenLineage event; a table of 1,000 columns has 2,000',
  ),
  lineageNameBytesMax: limit(
    600,
    'bytes of the name of a node: three names make an index key, which Postgres limits to 2,704 bytes',
  ),
  lineagePollMs: limit(1_000, 'how often waiting OpenLineage events are sent'),
  lineageRunningMs: limit(
    30_000,
    'how often OpenLineage sinks get a RUNNING event for a materialization, back-fill, join, dataset build or training in progress; a run of a flow gets one such event after this time',
  ),
  lineageBatchMax: limit(100, 'rows of the outbox read at a time'),
  lineageSendMs: limit(5_000, 'how long a receiver of OpenLineage events may take to answer'),
  lineageOutboxMax: limit(
    100_000,
    'events that may wait for one sink; past it runs are left out until the sink accepts events again',
  ),
  lineageRunsMax: limit(20, 'newest runs listed for a version in the lineage graph'),
} as const;
