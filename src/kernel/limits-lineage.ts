const limit = (value: number, why: string) => ({ value, why });

/** Limits of the lineage graph and of OpenLineage. */
export const LINEAGE_LIMITS = {
  lineageNodesMax: limit(5_000, 'nodes that one question about lineage reaches; a person reads no more'),
  lineageDepthMax: limit(
    200,
    'edges between the node that lineage is asked of and the farthest that is told, each a question to the database; two for each job of a pipeline',
  ),
  lineageEventEdgesMax: limit(
    20_000,
    'edges of one OpenLineage event that is taken in; a table of 1,000 columns has 2,000',
  ),
  lineageNameBytesMax: limit(
    600,
    'the name of a node; three of them are a key of an index, which takes 2,704 bytes',
  ),
  lineagePollMs: limit(1_000, 'how often OpenLineage events that wait are sent'),
  lineageRunningMs: limit(
    30_000,
    'how often OpenLineage sinks are told of a pass, back-fill, join, build of a dataset or training that is under way; how long a run of a flow has been it when they are told, once',
  ),
  lineageBatchMax: limit(100, 'rows of the outbox that are read at a time'),
  lineageSendMs: limit(5_000, 'what a receiver of OpenLineage events has to answer within'),
  lineageOutboxMax: limit(
    100_000,
    'events that wait for one sink; runs are left out past it until it takes them',
  ),
  lineageRunsMax: limit(20, 'newest runs that are told of a version in the lineage graph'),
} as const;
