import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { Access } from '../access/access.ts';
import { accessMigrations } from '../access/migrations.ts';
import { connectorKind } from '../connectors/connector-kind.ts';
import { Contracts } from '../contracts/contracts.ts';
import { EventConsumers } from '../events/consumers.ts';
import { EventLog } from '../events/log.ts';
import { eventMigrations } from '../events/migrations.ts';
import { systemClock } from '../kernel/clock.ts';
import type { CloudEvent } from '../kernel/cloudevent.ts';
import type { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database } from '../store/database.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { type Committer, type Lane, write } from '../store/group-commit.ts';
import type { Migration } from '../store/migrations.ts';
import { planProject } from '../store/project.ts';
import { queueKind } from '../tasks/queue-kind.ts';
import { taskMigrations } from '../tasks/task-lanes.ts';
import { Tasks } from '../tasks/tasks.ts';
import { humanTaskPrimitive } from '../workflow/catalog/human-task.ts';
import { catalogOf } from '../workflow/catalog/primitive.ts';
import { WorkflowEngine } from '../workflow/engine.ts';
import { workflowMigrations } from '../workflow/migrations.ts';
import { PostgresRunStore } from '../workflow/postgres-store.ts';
import { workflowKind } from '../workflow/workflow-kind.ts';
import type { AccessPort } from './routes.ts';
import { accessRoutes, createAccessPort } from './routes-access.ts';
import { type ApplyProject, definitionRoutes } from './routes-definitions.ts';
import { eventRoutes } from './routes-events.ts';
import { type LedgerPort, ledgerRoutes } from './routes-ledger.ts';
import { liveRoutes } from './routes-live.ts';
import { runRoutes } from './routes-runs.ts';
import { startRoutes } from './routes-start.ts';
import { systemRoutes } from './routes-system.ts';
import { taskRoutes } from './routes-tasks.ts';
import { createServer } from './server.ts';

/** The API over real modules, as `app.ts` wires them, without models and ledger. */
export interface ApiUnderTest {
  readonly server: FastifyInstance;
  readonly keys: Readonly<Record<'viewer' | 'reviewer' | 'operator' | 'admin', string>>;
  readonly access: Access;
  /** What the audit port was told. */
  readonly audited: Json[];
  readonly faults: AiosError[];
  request(options: RequestOptions): Promise<LightMyRequestResponse>;
  close(): Promise<void>;
}

export interface RequestOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: string;
  role?: 'viewer' | 'reviewer' | 'operator' | 'admin' | undefined;
  body?: Json;
  headers?: Record<string, string>;
}

const CONTRACT = `
name: return.requested
owner: test
version: 1.0.0
schema: { type: object, required: [amount], properties: { amount: { type: number } } }
`;
const QUEUE = `
name: review
title: To look at
form: { type: object, required: [decision], properties: { decision: { enum: [approve, refuse] } } }
deadline: 2h
onDeadline: { decision: refuse }
`;
const FLOW = `
document: { dsl: '1.0.0', namespace: test, name: returns, version: '1.0.0', metadata: { aios: { outcome: output.decision } } }
evaluate: { language: cel }
schedule: { on: { one: { with: { type: return.requested } } } }
do:
  - route: { switch: [{ small: { when: 'event.data.amount < 10.0', then: refund } }, { other: { then: ask } }] }
  - refund: { set: { decision: refund }, then: end }
  - ask:
      call: human-task:1@default
      with: { queue: review, title: 'A return', context: { amount: '\${ event.data.amount }' } }
      output: { as: '\${ output.result }' }
`;
const PLAIN = `
document: { dsl: '1.0.0', namespace: test, name: greet, version: '1.0.0' }
evaluate: { language: cel }
do:
  - hello: { set: { hello: '\${ input.name }' } }
`;

/** A flow that starts on an event and may ask a person, its contract and its queue, and a plain flow. */
const PROJECT = [
  ['contracts/return.requested.yaml', CONTRACT],
  ['queues/review.yaml', QUEUE],
  ['workflows/returns.yaml', FLOW],
  ['workflows/greet.yaml', PLAIN],
].map(([path = '', text = '']) => ({ path, text }));

export function returnRequested(id: string, amount: Json = 30) {
  return {
    specversion: '1.0',
    id,
    source: 'urn:shop',
    type: 'return.requested',
    time: '2026-01-02T03:04:05Z',
    data: { amount },
  };
}

const auditLane = (audited: Json[]): Lane<Json> => ({
  name: 'audit',
  order: 50,
  write: async () => undefined,
  committed: (items) => void audited.push(...items),
});

export const API_MIGRATIONS: readonly Migration[] = [
  ...definitionMigrations,
  ...eventMigrations,
  ...workflowMigrations,
  ...taskMigrations,
  ...accessMigrations,
].sort((a, b) => (a.name < b.name ? -1 : 1));

interface Store {
  db: Database;
  commit: Committer;
  limits: Limits;
}

/** Opens the API over a database with `API_MIGRATIONS`, with the project applied. */
export async function openApiUnderTest(store: Store): Promise<ApiUnderTest> {
  const modules = assemble(store);
  const { engine, consumers, access } = modules;
  const keys = Object.fromEntries(
    await Promise.all(
      (['viewer', 'reviewer', 'operator', 'admin'] as const).map(async (role) => [
        role,
        (await access.createKey(`the ${role}`, [role], 'test')).key,
      ]),
    ),
  ) as ApiUnderTest['keys'];
  const faults: AiosError[] = [];
  const port = createAccessPort(access, new Set(['localhost']));
  const server = await createServer({
    limits: store.limits,
    access: port,
    onFault: (fault) => void faults.push(fault),
    routes: routesOf(store, modules, port),
  });
  await engine.begin();
  await consumers.start();
  const request: ApiUnderTest['request'] = ({ method = 'GET', url, role, body, headers = {} }) =>
    server.inject({
      method,
      url,
      headers: {
        host: 'localhost:7700',
        ...(role ? { authorization: `Bearer ${keys[role]}` } : {}),
        ...(body !== undefined && !headers['content-type'] ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  const applied = await request({
    method: 'POST',
    url: '/api/v1/apply',
    role: 'operator',
    body: { files: PROJECT },
  });
  if (applied.statusCode !== 200) throw new Error(applied.body);
  return {
    server,
    keys,
    access,
    audited: modules.audited,
    faults,
    request,
    async close() {
      await server.close();
      await consumers.stop();
      await engine.stop();
    },
  };
}

function assemble({ db, commit, limits }: Store) {
  const clock = systemClock;
  const definitions = new Definitions(db);
  const contracts = new Contracts(definitions);
  const log = new EventLog({ db, commit, clock, limits });
  const consumers = new EventConsumers({ db, log, limits });
  const audited: Json[] = [];
  const lane = auditLane(audited);
  const tasks: Tasks = new Tasks({
    db,
    commit,
    clock,
    limits,
    definitions,
    answers: {
      record: (task, { by, result }) => [write(lane, { kind: 'task', object: task.id, by: by.id, result })],
      resume: (task, payload) => engine.signal({ runId: task.runId, stepKey: task.stepKey, payload }),
    },
  });
  const catalog = catalogOf([humanTaskPrimitive(tasks, (entry) => write(lane, entry as unknown as Json))]);
  const engine = new WorkflowEngine({
    store: new PostgresRunStore(db, commit),
    catalog,
    clock,
    limits,
    findDefinition: (name, version) => definitions.version('workflow', name, version),
    emit: (event) => log.write(event),
  });
  definitions.onChange((changed) => {
    for (const definition of changed) if (definition.kind === 'workflow') engine.put(definition);
  });
  consumers.add({
    group: 'workflows',
    types: () => engine.startTypes(),
    handle: (events, tx) => engine.startFromEvents(events, tx),
  });
  const kinds = [contracts.kind, queueKind, connectorKind, workflowKind(catalog)];
  return {
    definitions,
    contracts,
    log,
    consumers,
    audited,
    tasks,
    engine,
    kinds,
    access: new Access(db, limits),
  };
}

function routesOf({ db, commit, limits }: Store, modules: ReturnType<typeof assemble>, port: AccessPort) {
  const { definitions, contracts, log, consumers, tasks, engine, kinds, access } = modules;
  const clock = systemClock;
  const check = (event: CloudEvent) => contracts.check(event);
  const apply: ApplyProject = async (files, caller, dryRun) => {
    const planned = await planProject(files, kinds, definitions);
    if (dryRun) return planned;
    await commit.commit(
      planned.map(({ kind, name, body, document }) =>
        definitions.put({ kind, name, body, source: document.text, createdBy: caller.id }),
      ),
    );
    await definitions.reload();
    return planned;
  };
  return [
    systemRoutes({
      checks: { store: async () => void (await db.query('select 1')) },
      metrics: async () => 'up 1\n',
    }),
    accessRoutes({ access, limits, secure: false }),
    definitionRoutes({
      definitions,
      apply,
      collections: { contracts: 'contract', queues: 'queue', connectors: 'connector', workflows: 'workflow' },
    }),
    eventRoutes({ log, consumers, clock, limits, check }),
    startRoutes({ engine, commit, clock, limits, log, check }),
    runRoutes({ engine, commit, clock, limits, records: emptyRecords }),
    taskRoutes({ tasks }),
    ledgerRoutes({ ledger: fixedLedger, can: port.can }),
    liveRoutes({
      engine,
      tasks,
      kpis: async () => ({ tasksOpen: 0 }),
      stats: async () => ({ waiting: 0 }),
    }),
  ];
}

const emptyRecords = {
  ofRun: async () => ({ pins: [], costs: [], audit: [] }),
  costOf: async (ids: readonly string[]) => new Map(ids.map((id) => [id, 7])),
};

/** A ledger of one entry. */
const fixedLedger: LedgerPort = {
  checkpoint: async () => 'aios\n1\nAAAA\n',
  tile: async (path) =>
    path === 'tile/0/000' || path === 'tile/entries/000.p/1' ? Buffer.from([1, 2]) : undefined,
  publicKey: () => ({ name: 'aios', publicKey: 'aios+1+A' }),
  entries: async ({ limit }) => ({ items: [{ index: 0, limit }], nextCursor: null }),
  entry: async (index, withPayload) => ({ index, ...(withPayload ? { payload: 'personal' } : {}) }),
  proof: async (index, size) => ({ index, size: size ?? 1, hashes: [] }),
  lineage: async (run) => ({ nodes: [{ id: run }], edges: [] }),
  costs: async ({ groupBy }) => [{ key: groupBy, amountMicroUsd: 1, count: 1 }],
};
