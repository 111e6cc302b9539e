import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { Access } from '../access/access.ts';
import { accessMigrations } from '../access/migrations.ts';
import { BRIDGE_KIND } from '../app/stations/bridges.ts';
import { createContracts } from '../app/stations/contracts.ts';
import { createQuality } from '../app/stations/quality.ts';
import { connectorKind } from '../connectors/connector-kind.ts';
import { contractMigrations } from '../contracts/migrations.ts';
import { EventConsumers } from '../events/consumers.ts';
import { EventLog } from '../events/log.ts';
import { eventMigrations } from '../events/migrations.ts';
import { systemClock } from '../kernel/clock.ts';
import type { CloudEvent } from '../kernel/cloudevent.ts';
import type { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import { AuditLog } from '../ledger/audit.ts';
import { AuditReader } from '../ledger/audit-reader.ts';
import { Costs } from '../ledger/costs.ts';
import { Lineage } from '../ledger/lineage.ts';
import { ledgerMigrations } from '../ledger/migrations.ts';
import { Sequencer } from '../ledger/sequencer.ts';
import { SubjectKeys } from '../ledger/subject-keys.ts';
import type { Database } from '../store/database.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import type { Committer } from '../store/group-commit.ts';
import type { Migration } from '../store/migrations.ts';
import { planProject } from '../store/project.ts';
import { warningsOf } from '../store/project-warnings.ts';
import { calendarKind } from '../tasks/calendar-kind.ts';
import { taskMigrations } from '../tasks/migrations.ts';
import { queueKind } from '../tasks/queue-kind.ts';
import { humanTaskPrimitive } from '../workflow/catalog/human-task.ts';
import { catalogOf } from '../workflow/catalog/primitive.ts';
import { WorkflowEngine } from '../workflow/engine/engine.ts';
import { START_GROUP } from '../workflow/engine/event-start.ts';
import { findIn } from '../workflow/engine/flows.ts';
import { workflowMigrations } from '../workflow/engine/migrations.ts';
import { PostgresRunStore } from '../workflow/engine/postgres-store.ts';
import { runQueueKind } from '../workflow/language/run-queue.ts';
import { workflowKind } from '../workflow/language/workflow-kind.ts';
import { type ApiDependencies, allRoutes, COLLECTIONS } from './all-routes.ts';
import { eventOutletsUnderTest } from './events-under-test.ts';
import { Publisher } from './publisher.ts';
import type { AccessPort } from './routes.ts';
import { createAccessPort } from './routes-access.ts';
import type { ApplyProject } from './routes-definitions.ts';
import { createServer } from './server.ts';
import { createTasks } from './tasks-under-test.ts';

/** The API over real modules, as `app.ts` wires them, without models and ledger. */
export interface ApiUnderTest {
  readonly server: FastifyInstance;
  readonly keys: Readonly<Record<'viewer' | 'reviewer' | 'operator' | 'admin', string>>;
  readonly access: Access;
  readonly faults: AiosError[];
  request(options: RequestOptions): Promise<LightMyRequestResponse>;
  close(): Promise<void>;
}

export interface RequestOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
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
costPerMinuteUsd: 0.5
`;
const FLOW = `
document: { dsl: '1.0.0', namespace: test, name: returns, version: '1.0.0', metadata: { aios: { outcome: output.decision, attributes: { amount: event.data.amount } } } }
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

export const API_MIGRATIONS: readonly Migration[] = [
  ...definitionMigrations,
  ...eventMigrations,
  ...contractMigrations,
  ...workflowMigrations,
  ...taskMigrations,
  ...ledgerMigrations,
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
  const { engine, consumers, outlets, access, sequencer } = modules;
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
    publisher: modules.publisher,
    routes: routesOf(store, modules, port),
  });
  await engine.begin();
  await consumers.start();
  await outlets.start();
  sequencer.start();
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
    faults,
    request,
    async close() {
      await server.close();
      await outlets.stop();
      await consumers.stop();
      await engine.stop();
      await sequencer.stop();
    },
  };
}

function openLedger(db: Database, limits: Limits) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const subjects = new SubjectKeys(randomBytes(32));
  const origin = 'aios.test/audit';
  const sequencer = new Sequencer({ db, origin, privateKey, limits });
  const audit = new AuditLog(subjects, () => sequencer.notice());
  const reader = new AuditReader({ db, keys: subjects, origin, publicKey });
  const costs = new Costs(db);
  const lineage = new Lineage(db, systemClock);
  return { subjectKeys: subjects, sequencer, auditLog: audit, audit, reader, costs, lineage };
}

const clock = systemClock;

function createAccess({ db, commit, limits }: Store, audit: AuditLog): Access {
  return new Access(db, limits, {
    commit,
    record: ({ keyId, action, by, payload }) =>
      audit.entry({
        kind: 'key',
        action,
        actor: { kind: 'key', id: by },
        object: `key:${keyId}`,
        at: clock.now(),
        payload,
      }),
  });
}

function assemble({ db, commit, limits }: Store) {
  const definitions = new Definitions(db);
  const log = new EventLog({ db, commit, clock, limits });
  const consumers = new EventConsumers({ db, log, limits });
  const ledger = openLedger(db, limits);
  const { audit, lineage } = ledger;
  const registered = createContracts({ db, commit, clock, limits }, { definitions, auditLog: audit, log });
  const { contracts } = registered;
  const access = createAccess({ db, commit, limits }, audit);
  const around = { definitions, access, log, ...ledger };
  const tasks = createTasks({ db, commit, limits }, around, (signal) => engine.signal(signal));
  const catalog = catalogOf([humanTaskPrimitive(tasks, (entry) => audit.entry(entry))]);
  const engine: WorkflowEngine = new WorkflowEngine({
    store: new PostgresRunStore(db, commit, limits.payloadInlineBytesMax),
    catalog,
    clock,
    limits,
    findDefinition: findIn(definitions),
    emit: (event) => log.write(event),
    lineage: (record, _, writes) => void writes.push(lineage.record(record)),
    audit: (entry) => audit.entry(entry),
  });
  feed(engine, definitions);
  consumers.add({
    group: START_GROUP,
    types: () => engine.startTypes(),
    handle: (events, tx, onRollback) => engine.startFromEvents(events, tx, { onRollback }),
  });
  const outlets = eventOutletsUnderTest({
    ...{ db, commit, log, consumers, limits, engine, auditLog: audit, definitions },
    ...registered,
  });
  return {
    definitions,
    ...registered,
    log,
    consumers,
    publisher: new Publisher({
      ...registered,
      ...{ log, clock, limits },
      check: (event) => contracts.check(event),
      keepsPosters: () => engine.keepsPosters,
    }),
    outlets,
    ...ledger,
    tasks,
    ...createQuality({ db, commit, clock, limits }, tasks.queues, ledger),
    engine,
    kinds: [
      contracts.kind,
      calendarKind,
      queueKind,
      connectorKind,
      BRIDGE_KIND,
      runQueueKind,
      workflowKind(catalog, async () => ''),
    ],
    access,
  };
}

function feed(engine: WorkflowEngine, definitions: Definitions): void {
  definitions.onChange((changed) => {
    for (const definition of changed) {
      if (definition.kind === 'run-queue') engine.putQueue(definition.body);
      if (definition.kind === 'workflow') engine.put(definition);
    }
  });
}

function routesOf({ db, commit, limits }: Store, modules: ReturnType<typeof assemble>, port: AccessPort) {
  const { definitions, contracts, log, consumers, outlets, tasks, engine, kinds, access } = modules;
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
  return allRoutes({
    checks: { store: async () => void (await db.query('select 1')) },
    metrics: async () => 'up 1\n',
    access,
    limits,
    definitions,
    contractRegistry: modules.contractRegistry,
    qualityMonitor: modules.qualityMonitor,
    quarantine: modules.quarantine,
    apply,
    impactOf: async () => [],
    warningsOf: (planned) => warningsOf(planned, { kinds, definitions, registered: () => [] }),
    collections: COLLECTIONS,
    log,
    consumers,
    ...outlets.given,
    clock,
    publisher: modules.publisher,
    check,
    engine,
    commit,
    tasks,
    quality: modules.quality,
    labels: modules.labels,
    eraseSubject: modules.eraseSubject,
    audit: modules.reader,
    auditLog: modules.audit,
    costs: modules.costs,
    lineage: modules.lineage,
    can: port.can,
    kpis: async () => ({ tasksOpen: 0 }),
    db,
    version: 'test',
    ...ABSENT,
  });
}

/** Modules that these tests do not call. */
const ABSENT = {} as Pick<
  ApiDependencies,
  | 'graph'
  | 'outbox'
  | 'takeLineage'
  | 'features'
  | 'featurePush'
  | 'materializations'
  | 'fileJoins'
  | 'featureOverview'
  | 'featureProfiles'
  | 'featureBackfills'
  | 'datasets'
  | 'datasetBuilds'
  | 'models'
  | 'serving'
  | 'requestLog'
  | 'decisions'
  | 'promotions'
  | 'fallbackWarningsOf'
  | 'quantizations'
  | 'experiments'
  | 'trainingRuns'
  | 'loggedModels'
  | 'trackingArtifacts'
  | 'artifactUploads'
  | 'registeredModels'
  | 'rollouts'
  | 'languageModels'
  | 'budgets'
>;
