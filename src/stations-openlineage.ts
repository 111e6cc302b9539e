import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { exchange } from './connectors/http-exchange.ts';
import type { Outgoing } from './connectors/outgoing.ts';
import { compileTemplate, type Variables } from './connectors/template.ts';
import type { CloudEvent } from './kernel/cloudevent.ts';
import { VERSION } from './kernel/version.ts';
import type { OpenLineageEvent } from './ledger/openlineage/event.ts';
import type { Naming } from './ledger/openlineage/naming.ts';
import { Outbox } from './ledger/openlineage/outbox.ts';
import { OpenLineageRelay, type Sent } from './ledger/openlineage/relay.ts';
import type { LineageSink, Transport } from './ledger/openlineage/sink-kind.ts';
import type { EndedRun, EndedWork } from './ledger/openlineage/work-events.ts';
import type { Ground } from './stations.ts';
import type { Definitions } from './store/definitions.ts';
import { log as logger } from './telemetry/logger.ts';
import type { LineagePort } from './workflow/engine/barriers.ts';

interface Surroundings {
  readonly definitions: Definitions;
  readonly outgoing: Outgoing;
  readonly variables: Variables;
}

const PATH = '/api/v1/lineage';
const PASSES_MAX = 100;

/** `AIOS_LINEAGE_NAMESPACE`, and in `AIOS_LINEAGE_DATABASES` how other systems name the database of batch views' tables. */
function namingFrom(env: NodeJS.ProcessEnv): Naming {
  const databases = (env.AIOS_LINEAGE_DATABASES ?? '').split(',').map((name) => name.trim());
  return {
    namespace: env.AIOS_LINEAGE_NAMESPACE || 'aios',
    databases: databases.filter((name) => name.includes('/')),
  };
}

/** What goes out as OpenLineage events: from the outbox to each sink, through the guard of everything that leaves. */
export function createOpenLineage(ground: Ground, { definitions, outgoing, variables }: Surroundings) {
  const { db, limits, dataDir } = ground;
  const naming = namingFrom(process.env);
  const outbox = new Outbox(db);
  const resolve = (text: string) => compileTemplate(text, ['env', 'secrets']).resolve(variables);
  let sinks: readonly LineageSink[] = [];
  definitions.onChange((changed) => {
    if (changed.some(({ kind }) => kind === 'lineage-sink'))
      sinks = definitions.list('lineage-sink').map(({ body }) => body as unknown as LineageSink);
  });
  const openLineage = new OpenLineageRelay({
    ...{ outbox, db, limits, naming, version: VERSION },
    sinks: () => sinks,
    send: ({ transport }, event) =>
      transport.type === 'file'
        ? appendTo(join(dataDir, 'lineage'), transport.file, event)
        : post(transport, event),
    endedWork: async () => [
      ...(await endedPasses(ground)),
      ...(await madeDatasets(ground)),
      ...(await endedTrainings(ground)),
    ],
    onError: (error) => logger.warn('OpenLineage events could not be sent', error),
  });

  async function post(
    { url, endpoint = PATH, apiKey }: Extract<Transport, { type: 'http' }>,
    event: OpenLineageEvent,
  ): Promise<Sent> {
    const { origin, pathname } = new URL(resolve(url));
    const { status, text } = await exchange(outgoing.agent, {
      ...{
        origin,
        path: pathname.replace(/\/+$/, '') + endpoint,
        method: 'POST',
        body: JSON.stringify(event),
      },
      headers: {
        'content-type': 'application/json',
        ...(apiKey !== undefined && { authorization: `Bearer ${resolve(apiKey)}` }),
      },
      timeoutMs: limits.lineageSendMs,
      responseBytesMax: limits.connectorResponseBytesMax,
      signal: undefined,
    });
    if (status >= 200 && status < 300) return { ok: true };
    return { ok: false, problem: `${status}: ${text.slice(0, 300)}`, isFinal: REFUSING.has(status) };
  }
  return { openLineage, outbox, naming };
}

/** Answers about the event itself; all others (a key, an address, a load) may be put right. */
const REFUSING = new Set([400, 413, 422]);

async function appendTo(folder: string, file: string, event: OpenLineageEvent): Promise<Sent> {
  await mkdir(folder, { recursive: true });
  await appendFile(join(folder, file), `${JSON.stringify(event)}\n`);
  return { ok: true };
}

/** Materializations that ended since there is a sink. */
async function endedPasses({ db }: Ground): Promise<EndedWork[]> {
  const rows = await db.query<{
    id: string;
    view: string;
    version: number;
    status: string;
    table: string | null;
    entities: number;
    requested_at: number;
    ended_at: number;
    problem: { detail?: string; title?: string } | null;
  }>(
    `select m.id, m.view, m.version, m.status, m.entities, m.requested_at, m.ended_at, m.problem, d.body #>> '{source,table}' as table
     from feature_materializations m left join definitions d on d.kind = 'feature-view' and d.name = m.view and d.version = m.version
     where m.status <> 'running' and m.ended_at >= (select min(since) from openlineage_sinks)
       and not exists (select from openlineage_told t where t.source = 'MATERIALIZATION' and t.id = m.id)
     order by m.ended_at, m.id limit $1`,
    [PASSES_MAX],
  );
  return rows.map(({ id, view, version, status, table, entities, requested_at, ended_at, problem }) => ({
    ...{
      id,
      job: `materialize:${view}`,
      type: 'MATERIALIZATION',
      startedAt: requested_at,
      endedAt: ended_at,
    },
    state: status === 'done' ? 'COMPLETE' : status === 'failed' ? 'FAIL' : 'ABORT',
    ...(problem && { error: problem.detail ?? problem.title ?? 'failed' }),
    inputs: table === null ? [] : [{ node: `table:${table}` }],
    outputs: [{ node: `feature-view:${view}`, version: String(version), rows: entities }],
  }));
}

type Ended = Parameters<LineagePort>[1];

/** Versions of datasets that were made since there is a sink. */
async function madeDatasets({ db }: Ground): Promise<EndedWork[]> {
  const rows = await db.query<{
    id: string;
    dataset: string;
    version: number;
    rows: number;
    created_at: number;
    inputs: string[];
  }>(
    `select v.id, v.dataset, v.version, v.row_count as rows, v.created_at,
       array(select e.from_id from lineage_edges e where e.to_id = 'dataset:' || v.dataset and e.until is null
         and e.from_id not like 'field:%' order by 1) as inputs
     from dataset_versions v where v.created_at >= (select min(since) from openlineage_sinks)
       and not exists (select from openlineage_told t where t.source = 'DATASET' and t.id = v.id)
     order by v.created_at, v.id limit $1`,
    [PASSES_MAX],
  );
  return rows.map(({ id, dataset, version, rows: count, created_at, inputs }) => ({
    ...{
      id,
      job: `build:${dataset}`,
      type: 'DATASET',
      state: 'COMPLETE',
      startedAt: created_at,
      endedAt: created_at,
    },
    inputs: inputs.map((node) => ({ node })),
    outputs: [{ node: `dataset:${dataset}`, version: String(version), rows: count }],
  }));
}

/** Trainings of flows that ended since there is a sink, with the version that they made; one that failed is told as its run. */
async function endedTrainings({ db }: Ground): Promise<EndedWork[]> {
  const rows = await db.query<{
    key: string;
    trainer: string;
    run_id: string;
    workflow: string | null;
    model: string | null;
    version: string | null;
    started_at: number;
    ended_at: number;
    datasets: string[];
  }>(
    `select t.key, t.trainer, t.run_id, t.started_at, t.ended_at, r.workflow,
       t.result #>> '{version,name}' as model, t.result #>> '{version,version}' as version,
       array(select e.from_id from lineage_edges e where e.until is null and e.from_id like 'dataset:%'
         and e.to_id = 'model:' || (t.result #>> '{version,name}') || '@' || (t.result #>> '{version,version}') order by 1) as datasets
     from trainings t left join workflow_runs r on r.id = t.run_id
     where t.ended_at >= (select min(since) from openlineage_sinks)
       and not exists (select from openlineage_told o where o.source = 'TRAINING' and o.id = t.key)
     order by t.ended_at, t.key limit $1`,
    [PASSES_MAX],
  );
  return rows.map(({ key, trainer, run_id, workflow, model, version, started_at, ended_at, datasets }) => ({
    ...{ id: key, job: `train:${trainer}`, type: 'TRAINING', startedAt: started_at, endedAt: ended_at },
    state: 'COMPLETE',
    ...(workflow !== null && { parent: { id: run_id, job: `workflow:${workflow}` } }),
    inputs: datasets.map((node) => ({ node })),
    outputs: model === null || version === null ? [] : [{ node: `model:${model}`, version }],
  }));
}

/** A run as the sinks are told of it; what it holds of people's data stays here. */
export function endedRun(
  { run, patch }: Ended,
  pins: EndedRun['pins'],
  event: CloudEvent | undefined,
  endedAt: number,
): EndedRun {
  const { id, workflow, startedAtMs, origin } = run;
  const error = patch.result?.error;
  return {
    ...{ id, workflow, status: patch.status, startedAt: startedAtMs, endedAt },
    // The type and title of an error are of the program; its detail may quote what a person wrote.
    ...(error && { error: `${error.type}${error.title === undefined ? '' : `: ${error.title}`}` }),
    ...(event && { event: event.type }),
    pins: pins.map(({ kind, name, version }) => ({ kind, name, version })),
    ...(origin.scheduledMs !== undefined && { scheduledAt: origin.scheduledMs }),
    ...(origin.parent && { parentRunId: origin.parent.runId }),
  };
}
