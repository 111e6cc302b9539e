import { join } from 'node:path';
import { A2aCalls } from '../../connectors/a2a-calls.ts';
import { trustAuthorities } from '../../connectors/authorities.ts';
import { CallSecrets } from '../../connectors/call-secrets.ts';
import { connectorKind } from '../../connectors/connector-kind.ts';
import { type ConnectorCircuit, Connectors } from '../../connectors/connectors.ts';
import { GrpcCalls } from '../../connectors/grpc-calls.ts';
import { HttpCalls } from '../../connectors/http-calls.ts';
import { McpCalls } from '../../connectors/mcp-calls.ts';
import { MqttCalls } from '../../connectors/mqtt-calls.ts';
import { Outgoing } from '../../connectors/outgoing.ts';
import { ResourceReader } from '../../connectors/resources.ts';
import { connectorVariables, secretsWithoutHosts } from '../../connectors/secrets.ts';
import { WebSocketCalls } from '../../connectors/websocket-calls.ts';
import type { Contracts } from '../../contracts/contracts.ts';
import { decisionKind } from '../../decisions/decision-kind.ts';
import { createDecisions } from '../../decisions/decisions.ts';
import { EventConsumers } from '../../events/consumers.ts';
import { EventLog } from '../../events/log.ts';
import { datasetKind } from '../../features/datasets/dataset-kind.ts';
import { entityKind, featureServiceKind, featureViewKind } from '../../features/definitions.ts';
import { heldViewsOf } from '../../features/held-views.ts';
import { AuditLog } from '../../ledger/audit.ts';
import { AuditReader } from '../../ledger/audit-reader.ts';
import { Costs } from '../../ledger/costs.ts';
import { openIdentity } from '../../ledger/identity.ts';
import { Lineage } from '../../ledger/lineage.ts';
import { lineageSinkKind } from '../../ledger/openlineage/sink-kind.ts';
import { Sequencer } from '../../ledger/sequencer.ts';
import { SubjectKeys } from '../../ledger/subject-keys.ts';
import { modelKind } from '../../models/model-kind.ts';
import { createModels, type Models } from '../../models/models.ts';
import type { RuntimeKinds } from '../../models/runtime-kind.ts';
import { createFunctionRuntime, functionKind } from '../../serving/runtimes/function-runtime.ts';
import { WORKFLOW_ENDPOINT } from '../../serving/runtimes/workflow-runtime.ts';
import type { CircuitChange } from '../../serving/traffic/circuit-breaker.ts';
import { RolloutRouter } from '../../serving/traffic/rollout-router.ts';
import { createServing, type Serving, type ServingDependencies } from '../../serving/traffic/serving.ts';
import type { DefinitionKind } from '../../store/definition-kind.ts';
import { Definitions } from '../../store/definitions.ts';
import { projectKind } from '../../store/project.ts';
import { calendarKind } from '../../tasks/calendar-kind.ts';
import { queueKind } from '../../tasks/queue-kind.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { log as logger } from '../../telemetry/logger.ts';
import { a2aPrimitives } from '../../workflow/catalog/a2a.ts';
import { asyncApiPrimitives } from '../../workflow/catalog/asyncapi.ts';
import { connectorPrimitive } from '../../workflow/catalog/connector.ts';
import { decidePrimitive } from '../../workflow/catalog/decide.ts';
import { featuresPrimitive } from '../../workflow/catalog/features.ts';
import { grpcPrimitives } from '../../workflow/catalog/grpc.ts';
import { httpPrimitives } from '../../workflow/catalog/http.ts';
import { humanTaskPrimitive } from '../../workflow/catalog/human-task.ts';
import { inferPrimitive } from '../../workflow/catalog/infer.ts';
import { languageModelPrimitives } from '../../workflow/catalog/language-models.ts';
import { mcpPrimitives } from '../../workflow/catalog/mcp.ts';
import { openApiPrimitives } from '../../workflow/catalog/openapi.ts';
import { type Catalog, catalogOf } from '../../workflow/catalog/primitive.ts';
import type { AuditPort, CostPort } from '../../workflow/catalog/records.ts';
import { scriptPrimitive } from '../../workflow/catalog/script.ts';
import { processPrimitives } from '../../workflow/catalog/shell.ts';
import { trainPrimitive } from '../../workflow/catalog/train.ts';
import type { WorkflowEngine } from '../../workflow/engine/engine.ts';
import type { ReadResource } from '../../workflow/language/resources.ts';
import { runQueueKind } from '../../workflow/language/run-queue.ts';
import { workflowKind } from '../../workflow/language/workflow-kind.ts';
import { BRIDGE_KIND } from './bridges.ts';
import { createChat, createOpenAi, OPENAI_KIND } from './chat.ts';
import { createContracts } from './contracts.ts';
import { createDatasets, datasetsOfModels } from './datasets.ts';
import { createEmitter } from './emitting.ts';
import { createEngine } from './engine.ts';
import { createEnsembles, inferPort } from './ensembles.ts';
import { createEventOutlets } from './events.ts';
import { createFeatures } from './features.ts';
import type { Ground } from './ground.ts';
import { createLineage, versionLineage } from './lineage.ts';
import { createOpenLineage } from './openlineage.ts';
import { createAccess, createAnswers, createTasks } from './people.ts';
import { createQuality } from './quality.ts';
import { createQuantizations } from './quantization.ts';
import { createRequestLog } from './request-log.ts';
import { createRollouts } from './rollouts.ts';
import { createRuntimes, RUNTIME_KINDS } from './runtimes.ts';
import { createTracking, type TrackingKeys } from './training.ts';

export type Stations = Awaited<ReturnType<typeof createStations>>;

/** What each runtime asks of the definition of a model; of ensembles what can be asked without their flows. */
const RUNTIMES = {
  ...RUNTIME_KINDS,
  openai: OPENAI_KIND,
  workflow: { endpoint: WORKFLOW_ENDPOINT },
} satisfies RuntimeKinds;
const AUDIT_ORIGIN = 'aios.local/audit';

/** The stations in the order of the path and the engine over them, each given what it needs of the others. Nothing runs yet. */
export async function createStations(ground: Ground) {
  const { db, limits } = ground;
  const ledger = await createLedger(ground);
  const { auditLog, costs, lineage } = ledger;
  const definitions = new Definitions(db, heldViewsOf);
  const events = createEvents(ground, definitions, auditLog);
  const registered = createContracts(ground, { definitions, auditLog, log: events.log });
  const { contracts } = registered;
  const outside = createConnectors(ground, definitions);
  const { connectors, calls, outgoing, variables } = outside;
  const { openai, upstream } = createOpenAi(ground, outgoing, variables);
  const kinds = { ...RUNTIMES, function: functionKind(ground.modelFunctions) };
  const ensembles = createEnsembles(ground, definitions, kinds);
  const runtimes = {
    ...createRuntimes(limits, outgoing, variables),
    function: createFunctionRuntime(ground.modelFunctions),
    openai,
    workflow: ensembles.runtime,
  };
  const access = createAccess(ground, auditLog);
  const around = { auditLog, access, variables, ...events };
  const inference = createInference(ground, definitions, around, runtimes, ensembles.kinds);
  const chat = createChat(ground, { costs, ...inference, upstream });
  const decisions = createDecisions({ definitions });
  const told = createOpenLineage(ground, { definitions, outgoing, variables });
  const emit = createEmitter({ contracts, log: events.log, ...ground });
  const tasks = createTasks(ground, {
    definitions,
    auditLog,
    access,
    answers: createAnswers(auditLog, costs, ({ runId, stepKey }, payload) =>
      engine.signal({ runId, stepKey, payload }),
    ),
    emit,
  });
  const called = { ...events, ...inference, ...chat, decisions };
  const catalog = createCatalog(ground, ledger, { ...called, tasks, connectors, calls });
  ensembles.connect({ catalog, ...called });
  const engine: WorkflowEngine = createEngine(ground, {
    ...{ definitions, catalog, contracts, auditLog, lineage, emit },
    ...{ models: inference.models, openLineage: told.openLineage },
  });
  return {
    ...ground,
    ...ledger,
    ...events,
    ...inference,
    definitions,
    ...registered,
    decisions,
    connectors,
    tasks,
    ...createQuality(ground, tasks.queues, ledger),
    ...chat,
    engine,
    ...createEventOutlets(ground, { ...events, ...ledger, ...registered, ...outside, engine, definitions }),
    ...createLineage(ground, { definitions, lineage, told }),
    kinds: kindsOf(contracts, catalog, calls.readResource, ensembles.kinds),
    access,
  };
}

type Called = Pick<ReturnType<typeof createEvents>, 'features'> &
  Pick<ReturnType<typeof createInference>, 'models' | 'serving' | 'trainings'> &
  Pick<ReturnType<typeof createChat>, 'languageModels'> &
  Pick<ReturnType<typeof createConnectors>, 'connectors' | 'calls'> & {
    decisions: ReturnType<typeof createDecisions>;
    tasks: Tasks;
  };

/** What flows may call, in the order of the path; the program's own functions last. */
function createCatalog(
  { limits, functions }: Ground,
  { auditLog, costs }: Awaited<ReturnType<typeof createLedger>>,
  { features, models, serving, languageModels, decisions, tasks, connectors, calls, trainings }: Called,
): Catalog {
  const audit: AuditPort = (entry) => auditLog.entry(entry);
  const cost: CostPort = (entry) => costs.entry(entry);
  return catalogOf([
    featuresPrimitive(features),
    inferPrimitive(inferPort(models, serving), cost),
    ...languageModelPrimitives(languageModels),
    decidePrimitive(decisions, audit),
    scriptPrimitive(limits),
    trainPrimitive(trainings, cost, audit),
    humanTaskPrimitive(tasks, audit),
    ...httpPrimitives(calls.http, calls.secrets, audit),
    ...openApiPrimitives(calls.http, calls.secrets, audit),
    ...a2aPrimitives(calls.a2a, calls.secrets, audit),
    ...grpcPrimitives(calls.grpc, calls.secrets, audit),
    ...asyncApiPrimitives(calls, calls.secrets, audit, limits.connectorResponseBytesMax),
    ...mcpPrimitives(calls.mcp, calls.secrets, audit, names('AIOS_MCP_COMMANDS')),
    ...processPrimitives(limits, calls.secrets, audit, {
      isShellAllowed: process.env.AIOS_RUN_SHELL === 'true',
      containerEngine: process.env.AIOS_RUN_CONTAINER || undefined,
      containerFolders: names('AIOS_CONTAINER_FOLDERS'),
    }),
    connectorPrimitive(connectors, cost, audit),
    ...functions,
  ]);
}

/** The kinds of definitions in the order of the path: a project is applied in it. */
export function kindsOf(
  contracts: Contracts,
  catalog: Catalog,
  read: ReadResource,
  runtimeKinds: RuntimeKinds = RUNTIMES,
): DefinitionKind[] {
  return [
    projectKind,
    contracts.kind,
    entityKind,
    featureViewKind,
    featureServiceKind,
    datasetKind,
    modelKind(runtimeKinds),
    decisionKind,
    calendarKind,
    queueKind,
    connectorKind,
    BRIDGE_KIND,
    runQueueKind,
    workflowKind(catalog, read),
    lineageSinkKind,
  ];
}

async function createLedger({ db, changes, clock, limits, troubles, dataDir }: Ground) {
  const { master, privateKey, publicKey } = await openIdentity(db, dataDir);
  const keys = new SubjectKeys(master);
  const sequencer = new Sequencer({
    db,
    origin: AUDIT_ORIGIN,
    privateKey,
    limits,
    changes,
    onError: troubles.of('The audit log could not be put in order', 'error'),
  });
  return {
    master,
    sequencer,
    auditLog: new AuditLog(keys, () => sequencer.notice()),
    audit: new AuditReader({ db, keys, origin: AUDIT_ORIGIN, publicKey }),
    subjectKeys: keys,
    costs: new Costs(db),
    lineage: new Lineage(db, clock),
  };
}

/** The log, its consumers, the features that one of them keeps, and the datasets that are made of these. */
function createEvents(ground: Ground, definitions: Definitions, auditLog: AuditLog) {
  const { db, commit, changes, clock, limits, troubles } = ground;
  const log = new EventLog({ db, commit, clock, limits });
  const consumers = new EventConsumers({
    db,
    log,
    limits,
    changes,
    onError: (group, error) => troubles.tell({ what: `Consumer ${group}` }, error),
  });
  const features = createFeatures(ground, definitions, log, consumers);
  const made = createDatasets(ground, { definitions, log, auditLog, ...features });
  return { log, consumers, ...features, ...made };
}

/** The registry and what serves its models; the one verifies with the other. */
function createInference(
  ground: Ground,
  definitions: Definitions,
  around: TrackingKeys,
  runtimes: ServingDependencies['runtimes'],
  runtimeKinds: RuntimeKinds,
) {
  const { limits, closers } = ground;
  const { auditLog, datasets } = around;
  const models: Models = createModels({
    ...ground,
    definitions,
    runtimes: runtimeKinds,
    datasets: datasetsOfModels(datasets),
    verify: ({ runtime, artifact, warmUp, ...model }) =>
      serving.verify(runtime, { ...model, load: async () => artifact }, warmUp?.inputs),
    prepare: (name, version) => serving.load(name, version),
    // What is kept and not served waits for nothing.
    isReady: (name, version) =>
      models.version(name, version).status === 'files' || serving.isReady(name, version),
    record: ({ kind, by, at, name, ...change }) => [
      auditLog.entry({
        kind: 'model',
        action: kind.slice('model.'.length),
        actor: by,
        object: `model:${name}`,
        at,
        payload: { name, ...change },
      }),
      ...('card' in change ? [versionLineage(name, change)] : []),
    ],
  });
  const requestLog = createRequestLog(ground, auditLog);
  const router = new RolloutRouter(limits.rolloutCopiesMax);
  const onCircuit = ({ label, state, reason }: CircuitChange) =>
    logger.warn(`The circuit of ${label} ${state === 'open' ? 'opened' : 'closed'}: ${reason}`);
  const serving: Serving = createServing({
    models,
    runtimes,
    rollouts: router,
    requestLog,
    onCircuit,
    limits,
  });
  closers.push(async () => serving.close());
  const rollouts = createRollouts(ground, { models, serving, router, definitions, auditLog });
  const quantizations = createQuantizations(limits, { models, requestLog, runtime: runtimes.onnx! });
  const tracking = createTracking(ground, { ...around, models, ...rollouts });
  return { models, serving, requestLog, router, quantizations, ...rollouts, ...tracking };
}

function createConnectors({ limits, dataDir, closers }: Ground, definitions: Definitions) {
  trustAuthorities(process.env.AIOS_CA_FILE);
  const sources = { env: process.env, file: join(dataDir, 'secrets.env') };
  const variables = connectorVariables(sources);
  const anywhere = secretsWithoutHosts(sources);
  if (anywhere.length > 0)
    logger.warn(
      `Definitions may send these secrets anywhere: ${anywhere.join(', ')}. AIOS_HOSTS_OF_NAME says which hosts each is for (* for all)`,
    );
  const onCircuit = ({ connector, state, reason }: ConnectorCircuit) =>
    logger[state === 'open' ? 'warn' : 'info'](
      `The circuit of connector ${connector} is ${state}: ${reason}`,
    );
  const connectors = new Connectors({ definitions, limits, variables, onCircuit });
  const outgoing = new Outgoing({ limits, allowPrivate: names('AIOS_HTTP_ALLOW_PRIVATE') });
  closers.push(() => Promise.all([connectors.close(), outgoing.close()]));
  const secrets = new CallSecrets(variables);
  const http = new HttpCalls(outgoing);
  const reader = new ResourceReader(http, secrets, limits);
  const readResource: ReadResource = (endpoint, secretsAt) => reader.read(endpoint, secretsAt);
  return {
    connectors,
    outgoing,
    variables,
    calls: {
      secrets,
      http,
      grpc: new GrpcCalls(outgoing),
      mcp: new McpCalls(outgoing),
      mqtt: new MqttCalls(outgoing),
      webSocket: new WebSocketCalls(outgoing),
      a2a: new A2aCalls(outgoing),
      readResource,
    },
  };
}

/** What an operator allows by a list in a variable of the environment, separated by commas. */
function names(variable: string): string[] {
  const list = process.env[variable]?.split(',') ?? [];
  return list.map((name) => name.trim()).filter(Boolean);
}
