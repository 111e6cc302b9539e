import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { faultsOfEvent, faultsOfOrder } from '../conformance/openlineage/check.ts';
import { officialFaults } from '../conformance/openlineage/official.ts';
import { FACET_SCHEMAS, facetUrl } from '../conformance/openlineage/schemas.ts';
import { type App, createApp } from '../src/app/app.ts';
import { versionLineage } from '../src/app/stations/lineage.ts';
import type { JsonObject } from '../src/kernel/json.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import type { OpenLineageEvent } from '../src/ledger/openlineage/event.ts';
import { workEvents } from '../src/ledger/openlineage/work-events.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';
import { pythonEnvironment, runPython } from '../src/testing/python.ts';
import { type Receiver, startReceiver, TOLD_PROJECT, TOLD_TABLES } from './openlineage-under-test.ts';

const WAIT = { timeout: 20_000, interval: 50 };

const python = await pythonEnvironment(['openlineage-python==1.54.0']);
const unavailable = python ? '' : ' (skipped: no python3 here, or no PyPI)';

describe('OpenLineage events', () => {
  let database: TestDatabase;
  let folder: string;
  let app: App;
  let receiver: Receiver;
  const start = async () => {
    app = await createApp({
      ...{ dataDir: folder, databaseUrl: database.url, host: '127.0.0.1', port: 0 },
      limits: limitsFrom('lineagePollMs=50,lineageRunningMs=100'),
    });
    app.ready();
  };
  const apply = (files: Readonly<Record<string, string>>) =>
    app.apply(Object.entries(files).map(([path, text]) => ({ path, bytes: new TextEncoder().encode(text) })));
  const run = (workflow: string, amount: number) =>
    app.stations.engine.run({ workflow, input: { amount } }, 30_000);
  const post = async (path: string, body: object) => {
    const headers = { authorization: `Bearer ${app.adminKey}`, 'content-type': 'application/json' };
    const response = await fetch(`${app.url}${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    expect(response.ok, await response.text()).toBe(true);
  };
  const jobs = (events: readonly OpenLineageEvent[]) =>
    events.filter((event) => event.run).map(({ job, eventType }) => `${job!.name} ${eventType}`);
  const inFile = async () => {
    const text = await readFile(join(folder, 'lineage', 'events.jsonl'), 'utf8').catch(() => '');
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as OpenLineageEvent);
  };

  beforeAll(async () => {
    receiver = await startReceiver();
    vi.stubEnv('AIOS_FEATURE_SCHEMAS', 'shop');
    vi.stubEnv('AIOS_LINEAGE_DATABASES', 'postgres://db.example.org:5432/shop');
    vi.stubEnv('AIOS_HTTP_ALLOW_PRIVATE', '127.0.0.1');
    vi.stubEnv('AIOS_VAR_MARQUEZ_URL', receiver.url);
    vi.stubEnv('AIOS_SECRET_MARQUEZ_KEY', 'key-of-marquez');
    database = await createTestDatabase([]);
    await database.db.queryDynamic(TOLD_TABLES);
    folder = await mkdtemp(join(tmpdir(), 'aios-openlineage-out-'));
    await start();
    await apply({
      'lineage/marquez.yaml':
        'name: marquez\ntransport: { type: http, url: "${env.MARQUEZ_URL}", apiKey: "${secrets.MARQUEZ_KEY}" }\nemit: { workflows: { outer: 1, patient: 1 } }',
      'lineage/file.yaml':
        'name: file\ntransport: { type: file, file: events.jsonl }\nemit: { definitions: false, runs: 1 }',
    });
  });
  afterAll(async () => {
    await app?.stop();
    await receiver?.close();
    await database.close();
    await rm(folder, { recursive: true });
    vi.unstubAllEnvs();
  });

  it('tell of definitions as datasets and jobs, with columns and what each is made of', async () => {
    await apply(TOLD_PROJECT);
    await vi.waitFor(() => expect(receiver.events).toHaveLength(9), WAIT);
    const dataset = (name: string) =>
      receiver.events.find((event) => event.dataset?.name === name)!.dataset!.facets!;
    expect(dataset('event-type:order')).toMatchObject({
      schema: {
        fields: [
          { name: 'customer', type: 'string' },
          { name: 'amount', type: 'number' },
        ],
      },
      documentation: { description: 'An order.' },
      ownership: { owners: [{ name: 'shop' }] },
      version: { datasetVersion: '1' },
    });
    const column = { namespace: 'aios', name: 'event-type:order', field: 'amount' };
    expect(dataset('feature-view:orders').columnLineage).toMatchObject({
      fields: { spend: { inputFields: [column] } },
      dataset: [{ ...column, field: 'customer' }],
    });
    expect(dataset('feature-view:stock').columnLineage).toMatchObject({
      fields: {
        units: {
          inputFields: [
            { namespace: 'postgres://db.example.org:5432', name: 'shop.shop.stock', field: 'units' },
          ],
        },
      },
    });
    const judge = receiver.events.find(({ job }) => job?.name === 'workflow:judge')!;
    expect(judge.outputs).toEqual([{ namespace: 'aios', name: 'event-type:judged' }]);
    expect(new Set(receiver.keys)).toEqual(new Set(['Bearer key-of-marquez']));
    expect(await inFile()).toEqual([]);
  });

  it('tell of failed runs, of the share that is asked for, and whose run it was within', async () => {
    receiver.events.length = 0;
    await run('judge', 5);
    await run('judge', 500);
    await run('outer', 5);
    await vi.waitFor(async () => expect(await inFile()).toHaveLength(8), WAIT);
    await vi.waitFor(() => expect(receiver.events).toHaveLength(4), WAIT);
    // Of judge only the failed run, of outer all.
    expect(jobs(receiver.events)).toEqual([
      'workflow:judge START',
      'workflow:judge FAIL',
      'workflow:outer START',
      'workflow:outer COMPLETE',
    ]);
    const failed = receiver.events[1]!;
    expect(failed.run!.facets!.errorMessage).toMatchObject({ message: expect.stringContaining('Too much') });
    expect(failed.run!.facets!.processing_engine).toMatchObject({ name: 'AIOS' });
    const within = (await inFile()).filter(
      ({ run, job }) => run!.facets!.parent && job!.name === 'workflow:judge',
    );
    expect(within.map(({ run }) => run!.facets!.parent!.job)).toEqual(
      Array(2).fill({ namespace: 'aios', name: 'workflow:outer' }),
    );
    const parent = receiver.events.find(({ job }) => job!.name === 'workflow:outer')!;
    expect((within[0]!.run!.facets!.parent!.run as { runId: string }).runId).toBe(parent.run!.runId);
    expect(receiver.events[2]!.run!.runId).toBe(receiver.events[3]!.run!.runId);
  });

  it('tell of the outermost run that a run is within', async () => {
    await run('outermost', 5);
    const ofFile = async (name: string) =>
      (await inFile()).filter(({ job }) => job!.name === `workflow:${name}`).at(-1)!;
    await vi.waitFor(async () => expect(await ofFile('outermost')).toBeDefined(), WAIT);
    const [judge, outer, outermost] = await Promise.all(['judge', 'outer', 'outermost'].map(ofFile));
    const within = (event: OpenLineageEvent | undefined) => ({
      run: { runId: event!.run!.runId },
      job: { namespace: 'aios', name: event!.job!.name },
    });
    expect(judge!.run!.facets!.parent).toMatchObject({ ...within(outer), root: within(outermost) });
    expect(outer!.run!.facets!.parent).toMatchObject({ ...within(outermost), root: within(outermost) });
    expect(outermost!.run!.facets!.parent).toBeUndefined();
  });

  it('tell of runs that wait while they do, once, and that they were canceled', async () => {
    receiver.events.length = 0;
    const order = {
      specversion: '1.0',
      id: 'o1',
      source: 'urn:shop',
      type: 'order',
      data: { customer: 'c1' },
    };
    await post('/api/v1/events', order);
    const of = () => jobs(receiver.events.filter(({ job }) => job?.name === 'workflow:patient'));
    const told = ['workflow:patient START', 'workflow:patient RUNNING'];
    await vi.waitFor(() => expect(of()).toEqual(told), WAIT);
    const begun = receiver.events.find(({ job }) => job?.name === 'workflow:patient');
    expect(begun!.inputs).toMatchObject([{ namespace: 'aios', name: 'event-type:order' }]);
    const { id } = begun!.run!.facets!.aios_run as { id: string };
    await app.stop(); // another process looks through all that wait, and tells of none again
    await start();
    await app.stations.openLineage.pass();
    await post(`/api/v1/runs/${id}/cancel`, {});
    await vi.waitFor(() => expect(of()).toEqual([...told, 'workflow:patient ABORT']), WAIT);
  });

  it('tell of passes with the rows that they wrote, once', async () => {
    receiver.events.length = 0;
    const ofEnds = () => receiver.events.filter(({ eventType }) => eventType !== 'RUNNING');
    await app.stations.materializations.start({ view: 'stock', mode: 'full', by: 'test' }, []);
    await vi.waitFor(
      () => expect(jobs(ofEnds())).toEqual(['materialize:stock START', 'materialize:stock COMPLETE']),
      WAIT,
    );
    const [, complete] = ofEnds();
    expect(complete!.inputs).toMatchObject([
      { namespace: 'postgres://db.example.org:5432', name: 'shop.shop.stock' },
    ]);
    expect(complete!.outputs).toMatchObject([
      { name: 'feature-view:stock', outputFacets: { outputStatistics: { rowCount: 1 } } },
    ]);
    await app.stations.openLineage.pass();
    expect(ofEnds()).toHaveLength(2);
  });

  it('tell of work while it is under way, and its beginning once', async () => {
    receiver.events.length = 0;
    const { materializations } = app.stations;
    await materializations.stop(); // nobody works on it
    const id = await materializations.start({ view: 'stock', mode: 'full', by: 'test' }, []);
    await vi.waitFor(() => expect(receiver.events.length).toBeGreaterThan(3), WAIT);
    materializations.begin();
    await vi.waitFor(() => expect(receiver.events.at(-1)!.eventType).toBe('COMPLETE'), WAIT);
    const told = jobs(receiver.events).map((job) => job.replace('materialize:stock ', ''));
    expect(told).toEqual(['START', ...Array(told.length - 2).fill('RUNNING'), 'COMPLETE']);
    const [start, running] = receiver.events;
    expect(running!.run!.runId).toBe(start!.run!.runId);
    expect(running!.run!.facets!.aios_run).toMatchObject({ id, rows: 0, total: null });
    expect(Date.parse(running!.eventTime)).toBeGreaterThanOrEqual(Date.parse(start!.eventTime));
  });

  it('date an end no earlier than what was told while its transaction was under way', async () => {
    receiver.events.length = 0;
    await database.db.query(
      `insert into feature_joins (id, service, entities, out_file, status, requested_by, requested_at, lease_until)
       values ('fjn_slow', 'all', 'in.parquet', 'slow.parquet', 'running', 'test', now() - interval '1 minute', now() + interval '1 hour')`,
    );
    await vi.waitFor(() => expect(receiver.events.at(-1)?.eventType).toBe('RUNNING'), WAIT);
    await database.db.query(
      `update feature_joins set status = 'done', ended_at = told_at - interval '1 second'
       from openlineage_told t where feature_joins.id = 'fjn_slow' and t.id = 'fjn_slow'`,
    );
    await vi.waitFor(() => expect(receiver.events.at(-1)!.eventType).toBe('COMPLETE'), WAIT);
    expect(faultsOfOrder(receiver.events as unknown as JsonObject[])).toEqual([]);
  });

  it('tell of back-fills, joins of files and builds of datasets as of passes', async () => {
    receiver.events.length = 0;
    const of = (name: string) =>
      jobs(receiver.events)
        .filter((job) => job.startsWith(`${name} `) && !job.endsWith(' RUNNING'))
        .map((job) => job.slice(name.length + 1));
    await app.stations.featureBackfills.start(
      { view: 'orders', fromMs: 0, toMs: 86_400_000, includeLate: false },
      [],
    );
    await database.db.query(
      `insert into feature_joins (id, service, entities, out_file, status, requested_by, requested_at, ended_at, problem)
       values ('fjn_x', 'all', 'in.parquet', 'out.parquet', 'failed', 'test', now(), now(), '{"title":"It is not a file","detail":"of c7"}')`,
    );
    await database.db.query(
      `insert into dataset_builds (id, dataset, definition_version, status, done, requested_by, requested_kind, requested_at, ended_at)
       values ('dsb_x', 'history', 1, 'canceled', 5, 'test', 'key', now(), now())`,
    );
    await vi.waitFor(() => {
      expect(of('backfill:orders')).toEqual(['START', 'COMPLETE']);
      expect(of('join:all')).toEqual(['START', 'FAIL']);
      expect(of('build:history')).toEqual(['START', 'ABORT']);
    }, WAIT);
    const failed = receiver.events.find(({ eventType }) => eventType === 'FAIL')!;
    expect(failed.run!.facets!.errorMessage).toMatchObject({ message: 'It is not a file' });
    expect(failed.inputs).toMatchObject([{ name: 'file:in.parquet' }, { name: 'feature-service:all' }]);
    expect(failed.outputs).toMatchObject([{ name: 'file:out.parquet' }]);
    const filled = receiver.events.find(({ job }) => job!.name === 'backfill:orders')!;
    expect(filled.inputs).toMatchObject([{ name: 'event-type:order' }]);
    expect(filled.outputs).toMatchObject([
      { name: 'feature-view:orders', facets: { version: { datasetVersion: '1' } } },
    ]);
  });

  it('tell of a training with the datasets that its model was trained on', async () => {
    receiver.events.length = 0;
    const datasets = [{ name: 'history', version: 2 }];
    await app.stations.commit.commit([versionLineage('churn', { version: 3, card: {}, datasets })]);
    await database.db.query(
      `insert into trainings (key, run_id, step_key, trainer, training_run, host, result, started_at, ended_at)
       values ('k', 'run_x', 'train', 'xgboost', 'trn_1', 'here', $1, now(), now())`,
      [JSON.stringify({ version: { name: 'churn', version: 3 } })],
    );
    await vi.waitFor(
      () => expect(jobs(receiver.events)).toEqual(['train:xgboost START', 'train:xgboost COMPLETE']),
      WAIT,
    );
    const [, complete] = receiver.events;
    expect(complete!.inputs).toMatchObject([{ name: 'dataset:history@2' }]);
    expect(complete!.outputs).toMatchObject([
      { name: 'model:churn', facets: { version: { datasetVersion: '3' } } },
    ]);
  });

  it('wait for a receiver that is away, over a restart, in their order', async () => {
    receiver.events.length = 0;
    receiver.status = 503;
    await run('judge', 501);
    await run('outer', 5);
    const sinks = async () => {
      const response = await fetch(`${app.url}/api/v1/lineage-sinks`, {
        headers: { authorization: `Bearer ${app.adminKey}` },
      });
      return (
        (await response.json()) as {
          items: { name: string; waiting: number; problem: string | null; refused: number }[];
        }
      ).items;
    };
    const marquez = async () => (await sinks()).find(({ name }) => name === 'marquez')!;
    await vi.waitFor(
      async () => expect(await marquez()).toMatchObject({ waiting: 2, problem: '503: said so' }),
      WAIT,
    );
    await app.stop();
    receiver.status = 201;
    await start();
    await vi.waitFor(() => expect(receiver.events).toHaveLength(4), WAIT);
    expect(jobs(receiver.events)).toEqual([
      'workflow:judge START',
      'workflow:judge FAIL',
      'workflow:outer START',
      'workflow:outer COMPLETE',
    ]);
    await vi.waitFor(
      async () => expect(await marquez()).toMatchObject({ waiting: 0, problem: null, refused: 0 }),
      WAIT,
    );
    receiver.status = 422; // it will never take this one: the next is not held up
    await run('judge', 502);
    await vi.waitFor(async () => expect(await marquez()).toMatchObject({ waiting: 0, refused: 1 }), WAIT);
  });

  const scheduled = workEvents(
    {
      ...{ id: 'bkf_1', job: 'backfill:orders', type: 'BACKFILL', state: 'ABORT', startedAt: 0, at: 1 },
      scheduledAt: 0,
      inputs: [{ node: 'event-type:order', rows: 7 }],
      outputs: [{ node: 'feature-view:orders', version: '1' }],
    },
    { namespace: 'aios', databases: [] },
    '0.1.0',
  );

  it('fit the schemas of the specification, all facets that are told, and their order', async () => {
    const told = [receiver.all, await inFile(), scheduled] as unknown as JsonObject[][];
    expect(told.flat().flatMap(faultsOfEvent)).toEqual([]);
    expect(told.flat().flatMap(officialFaults)).toEqual([]);
    expect(told.flatMap(faultsOfOrder)).toEqual([]);
    const text = JSON.stringify(told);
    expect(Object.keys(FACET_SCHEMAS).filter((path) => !text.includes(facetUrl(path)))).toEqual([]);
  });

  it.skipIf(!python)(
    `fit the classes of the stock Python client, each facet its own${unavailable}`,
    async () => {
      const file = join(folder, 'all.jsonl');
      const all = [...receiver.all, ...(await inFile()), ...scheduled];
      await writeFile(file, all.map((event) => JSON.stringify(event)).join('\n'));
      const members = Object.entries(FACET_SCHEMAS).map(([path, facet]) => [
        facetUrl(path),
        Object.keys(facet.members),
      ]);
      const schemas = JSON.stringify(Object.fromEntries(members));
      expect(await runPython(python!, 'test/clients/openlineage_out.py', file, schemas)).toMatchObject({
        members: {},
        events: { DatasetEvent: 5, JobEvent: 4, RunEvent: expect.any(Number) },
        facets: [
          'ColumnLineageDatasetFacet',
          'DataQualityMetricsInputDatasetFacet',
          'DatasetVersionDatasetFacet',
          'DatasourceDatasetFacet',
          'DocumentationDatasetFacet',
          'DocumentationJobFacet',
          'ErrorMessageRunFacet',
          'JobTypeJobFacet',
          'NominalTimeRunFacet',
          'OutputStatisticsOutputDatasetFacet',
          'OwnershipDatasetFacet',
          'ParentRunFacet',
          'ProcessingEngineRunFacet',
          'RunFacet',
          'SchemaDatasetFacet',
        ],
      });
    },
  );
});
