import { connectorLineage } from '../../connectors/connector-lineage.ts';
import { contractLineage } from '../../contracts/contract-lineage.ts';
import { decisionLineage } from '../../decisions/decision-lineage.ts';
import { bridgeLineage } from '../../events/bridges/definition/bridge-lineage.ts';
import { datasetLineage } from '../../features/datasets/dataset-lineage.ts';
import { entityLineage, featureServiceLineage, featureViewLineage } from '../../features/feature-lineage.ts';
import {
  type FindBody,
  LineageBuilder,
  type LineageEdge,
  type LineageReader,
  nodeId,
} from '../../kernel/definition-lineage.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Lineage } from '../../ledger/lineage.ts';
import { LineageGraph } from '../../ledger/lineage-graph/graph.ts';
import { lineageWrite } from '../../ledger/lineage-graph/graph-lane.ts';
import { type ChangedLineage, type Impact, impactOf } from '../../ledger/lineage-graph/impact.ts';
import type { EdgesOf } from '../../ledger/lineage-graph/subgraph.ts';
import { definitionEvent } from '../../ledger/openlineage/definition-events.ts';
import { readEvent } from '../../ledger/openlineage/event.ts';
import { lineageOfEvent } from '../../ledger/openlineage/inbound.ts';
import { modelLineage, modelVersionLineage } from '../../models/model-lineage.ts';
import { type Definition, type Definitions, findIn, versionKey } from '../../store/definitions.ts';
import type { Write } from '../../store/lane.ts';
import type { PlannedDefinition } from '../../store/project.ts';
import { queueLineage } from '../../tasks/queue-lineage.ts';
import { flowLineage } from '../../workflow/language/flow-lineage.ts';
import type { Ground } from './ground.ts';
import type { createOpenLineage } from './openlineage.ts';

const ENDED = "('completed', 'failed', 'canceled')";

interface Surroundings {
  readonly definitions: Definitions;
  readonly lineage: Lineage;
  readonly told: ReturnType<typeof createOpenLineage>;
}

/** The graph, and what a plan does to it. */
export function createLineage(
  { db, commit, clock, limits }: Ground,
  { definitions, lineage, told }: Surroundings,
) {
  const { openLineage, naming } = told;
  const graph = graphOf(db, lineage, limits);
  /** Runs of flows that have not ended. */
  const underWay = async (workflows: readonly string[]) => {
    const rows = await db.query<{ workflow: string; runs: number }>(
      `select workflow, count(*) as runs from workflow_runs
       where status <> 'completed' and status not in ${ENDED} and workflow = any($1::text[]) group by workflow`,
      [workflows],
    );
    return new Map(rows.map(({ workflow, runs }) => [workflow, runs]));
  };
  return {
    graph,
    openLineage,
    outbox: told.outbox,
    /** What the definitions of a plan bring, for the commit that applies it. */
    lineageWrites(planned: readonly PlannedDefinition[]): Write[] {
      const changed = changedLineage(planned, definitions);
      const bodies = new Map(planned.map(({ kind, name, body }) => [`${kind}:${name}`, body]));
      const events = openLineage.hasSinks
        ? changed.flatMap(({ kind, name, version, after: lineage, isPlanned }) => {
            const body = bodies.get(`${kind}:${name}`);
            const at = clock.now();
            return (
              (isPlanned && body && definitionEvent({ kind, name, version, body, lineage, at }, naming)) || []
            );
          })
        : [];
      return [
        ...changed.map(({ kind, name, version, after }) =>
          lineageWrite({ source: `${kind}:${name}`, version, ...after }),
        ),
        ...(events.length > 0 ? openLineage.eventsWrites('definitions', events) : []),
      ];
    },
    /** What each definition that a plan changes does to what depends on it. */
    async impactOf(planned: readonly PlannedDefinition[]): Promise<Impact[]> {
      const changed = changedLineage(planned, definitions);
      const edgesOf = edgesAfter(graph, changed);
      const own = changed.filter(({ isPlanned }) => isPlanned);
      return Promise.all(own.map((each) => impactOf(each, edgesOf, limits.lineageNodesMax, underWay)));
    },
    async takeLineage(event: JsonObject): Promise<void> {
      await commit.commit([lineageWrite(lineageOfEvent(readEvent(event), naming, limits))]);
    },
    /** Of a database from before the graph, and of a kind that is new to it. */
    async fillGraph(): Promise<void> {
      const rows = await db.query<{ source: string; version: number }>(
        'select source, version from lineage_sources',
      );
      const known = new Map(rows.map(({ source, version }) => [source, version]));
      const find = findIn(definitions);
      const writes = allOf(definitions).flatMap(({ kind, name, version, body }) => {
        const source = `${kind}:${name}`;
        return (known.get(source) ?? 0) >= version
          ? []
          : [lineageWrite({ source, version, ...LINEAGE_READERS[kind]!(body, find) })];
      });
      await commit.commit(writes);
    },
  };
}

function graphOf(db: Ground['db'], lineage: Lineage, limits: Ground['limits']): LineageGraph {
  return new LineageGraph({
    ...{ db, lineage, limits },
    outcomes: async (runId) => {
      const tasks = await db.query<{ id: string }>('select id from tasks where run_id = $1 order by id', [
        runId,
      ]);
      return tasks.map(({ id }) => id);
    },
    runOfTask: async (id) => {
      const [task] = await db.query<{ run_id: string }>('select run_id from tasks where id = $1', [id]);
      return task?.run_id;
    },
  });
}

/** What a version of a model is made of, for the commit that registers it. */
export function versionLineage(
  name: string,
  change: { version: number; card: JsonObject; datasets?: JsonObject[] },
): Write {
  const source = `model:${name}@${change.version}`;
  return lineageWrite({ source, version: 0, ...modelVersionLineage({ name, ...change }) });
}

function allOf(definitions: Definitions): Definition[] {
  return Object.keys(LINEAGE_READERS).flatMap((kind) => definitions.list(kind));
}

interface PlannedLineage extends ChangedLineage {
  readonly version: number;
  /** False of one that only reads others in another way because these change. */
  readonly isPlanned: boolean;
}

/** What changes in the graph by a plan: a view that gains a feature changes the service that answers all of them, too. */
function changedLineage(planned: readonly PlannedDefinition[], definitions: Definitions): PlannedLineage[] {
  const changed = new Map(
    planned.filter(({ action }) => action !== 'unchanged').map((each) => [`${each.kind}/${each.name}`, each]),
  );
  if (changed.size === 0) return [];
  const before = findIn(definitions);
  const after: FindBody = (kind, name, version) => {
    const own = changed.get(`${kind}/${name}`);
    if (own && (version === undefined || version === own.toVersion)) return own.body;
    const held =
      version === undefined ? undefined : planned[0]?.held.get(versionKey({ kind, name, version }));
    return before(kind, name, version) ?? held?.body;
  };
  const own = [...changed.values()].flatMap(({ kind, name, body, toVersion: version }): PlannedLineage[] => {
    const read = LINEAGE_READERS[kind];
    if (!read) return [];
    const old = before(kind, name);
    return [
      { kind, name, version, isPlanned: true, before: old && read(old, before), after: read(body, after) },
    ];
  });
  const others = allOf(definitions).flatMap(({ kind, name, version, body }): PlannedLineage[] => {
    if (changed.has(`${kind}/${name}`)) return [];
    const [was, is] = [LINEAGE_READERS[kind]!(body, before), LINEAGE_READERS[kind]!(body, after)];
    return JSON.stringify(was) === JSON.stringify(is)
      ? []
      : [{ kind, name, version, isPlanned: false, before: was, after: is }];
  });
  return [...own, ...others];
}

/** The graph as a plan will leave it: what it changes is read anew; what others read of what goes stays, so that it is seen. */
function edgesAfter(graph: LineageGraph, changed: readonly PlannedLineage[]): EdgesOf {
  const gone = new Set<string>();
  const [down, up] = [new Map<string, LineageEdge[]>(), new Map<string, LineageEdge[]>()];
  for (const { isPlanned, before, after } of changed) {
    const stays = new Set(after.edges.map(({ from, to }) => `${from}\0${to}`));
    if (isPlanned)
      for (const { from, to } of before?.edges ?? [])
        if (!stays.has(`${from}\0${to}`)) gone.add(`${from}\0${to}`);
    for (const edge of after.edges) {
      down.set(edge.from, [...(down.get(edge.from) ?? []), edge]);
      up.set(edge.to, [...(up.get(edge.to) ?? []), edge]);
    }
  }
  return async (ids, direction, max) => {
    const kept = await graph.edgesOf(ids, direction, max);
    const added = ids.flatMap((id) => (direction === 'down' ? down : up).get(id) ?? []);
    return [...kept.filter(({ from, to }) => !gone.has(`${from}\0${to}`)), ...added];
  };
}

/** A definition that reads nothing: its node. */
const alone =
  (kind: string): LineageReader =>
  ({ name, ...meaning }) => {
    const builder = new LineageBuilder();
    builder.node({ id: nodeId(kind, String(name)), meaning });
    return builder.done();
  };

/** What each kind of definition brings to the graph. */
export const LINEAGE_READERS: Readonly<Record<string, LineageReader>> = {
  bridge: bridgeLineage,
  contract: contractLineage,
  entity: entityLineage,
  'feature-view': featureViewLineage,
  'feature-service': featureServiceLineage,
  dataset: datasetLineage,
  model: modelLineage,
  decision: decisionLineage,
  calendar: alone('calendar'),
  queue: queueLineage,
  connector: connectorLineage,
  'run-queue': alone('run-queue'),
  workflow: flowLineage,
};
