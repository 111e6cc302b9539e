// First: what the modules measure is lost if it is not set before they are imported.
import '../telemetry/meter-provider.ts';

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openAdminKey } from '../access/admin-key.ts';
import { accessMigrations } from '../access/migrations.ts';
import { allRoutes, COLLECTIONS } from '../api/all-routes.ts';
import { BodyIntake } from '../api/body-intake.ts';
import type { GrpcDoor } from '../api/grpc-door.ts';
import { Publisher } from '../api/publisher.ts';
import { createAccessPort } from '../api/routes-access.ts';
import { systemRoutes } from '../api/routes-system.ts';
import { createServer } from '../api/server.ts';
import { contractMigrations } from '../contracts/migrations.ts';
import { eventMigrations } from '../events/migrations.ts';
import { heldNotices } from '../features/held-views.ts';
import { featureMigrations } from '../features/migrations.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import type { CloudEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import { VERSION } from '../kernel/version.ts';
import type { LogVerification } from '../ledger/audit-reader.ts';
import { budgetMigrations } from '../ledger/budget-lanes.ts';
import { lineageMigrations } from '../ledger/lineage-graph/migrations.ts';
import { ledgerMigrations } from '../ledger/migrations.ts';
import { openLineageMigrations } from '../ledger/openlineage/outbox.ts';
import { modelMigrations } from '../models/lanes.ts';
import { trackingMigrations } from '../models/tracking/migrations.ts';
import { trainingMigrations } from '../models/training/migrations.ts';
import { KpiCounts } from '../monitoring/kpi-counts.ts';
import { KpiReader } from '../monitoring/kpis.ts';
import { kpiMigrations } from '../monitoring/migrations.ts';
import { servingMigrations } from '../serving/traffic/request-log-lane.ts';
import { type Changes, DatabaseChanges, POLLED } from '../store/changes.ts';
import { type ConnectionTarget, type Database, openDatabase } from '../store/database.ts';
import type { ProjectFile } from '../store/definition-kind.ts';
import { definitionMigrations } from '../store/definitions.ts';
import { startEmbeddedPostgres } from '../store/embedded.ts';
import { joinEmbeddedPostgres } from '../store/embedded-address.ts';
import { GroupCommit } from '../store/group-commit.ts';
import { migrate } from '../store/migrations.ts';
import type { PlannedDefinition } from '../store/project.ts';
import { warningsOf } from '../store/project-warnings.ts';
import { taskMigrations } from '../tasks/migrations.ts';
import { createFaultLog } from '../telemetry/fault-log.ts';
import { log as logger } from '../telemetry/logger.ts';
import { otlpProcessors, startTelemetry } from '../telemetry/telemetry.ts';
import { Troubles } from '../telemetry/troubles.ts';
import { workflowMigrations } from '../workflow/engine/migrations.ts';
import type { AppOptions } from './app-options.ts';
import { applyExample, type KeptOfExample } from './apply-example.ts';
import { applyProject } from './apply-project.ts';
import { begin } from './begin.ts';
import { closeAll } from './close-all.ts';
import { openGrpc } from './doors.ts';
import { fallbackWarnings, fallbackWarningsOf } from './fallback-warnings.ts';
import type { Ground } from './stations/ground.ts';
import { createStations, type Stations } from './stations/stations.ts';

const KPI_PASS_MS = 60_000;

/** A running AIOS: what the process, the examples and the benches hold. */
export interface App {
  readonly url: string;
  /** Nothing where gRPC is not served. */
  readonly grpc: Omit<GrpcDoor, 'close'> | undefined;
  readonly dataDir: string;
  readonly databaseName: string;
  /** `''` in a worker, which has no door that takes one. */
  readonly adminKey: string;
  readonly stations: Stations;
  /** Applies a project as the system itself. */
  apply(files: readonly ProjectFile[]): Promise<readonly PlannedDefinition[]>;
  /** What somebody has changed since the example put it stays. */
  applyExample(example: string, files: readonly ProjectFile[]): Promise<KeptOfExample>;
  /** Checks and appends events, as the HTTP door does. @throws AiosError of the first that is refused */
  publish(events: readonly CloudEvent[]): Promise<void>;
  /** A one-time link that logs in to the console. */
  loginUrl(): Promise<string>;
  verifyAudit(): Promise<LogVerification>;
  /** From now on /readyz says so. */
  ready(): void;
  /** Stops taking work, finishes what is under way, and ends everything that was started. */
  stop(): Promise<void>;
}

/**
 * Puts AIOS together. The files of this folder are the only ones that name implementations.
 *
 * @throws AiosError with the way forward when a part cannot start; what was started before it is stopped
 * @example const app = await createApp({ dataDir: '.aios', host: '127.0.0.1', port: 7700, limits: limitsFrom() })
 */
export async function createApp(options: AppOptions): Promise<App> {
  const closers: (() => Promise<unknown>)[] = [];
  const stop = () => closeAll(closers.splice(0).reverse(), options.limits.stopMaxMs);
  try {
    return await start(options, closers, stop);
  } catch (error) {
    await stop().catch(() => {}); // it says less than why
    throw error;
  }
}

async function start(
  options: AppOptions,
  closers: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
): Promise<App> {
  const { dataDir, host, onProgress = () => {} } = options;
  await mkdir(dataDir, { recursive: true });
  const telemetry = startTelemetry(VERSION, otlpProcessors(options.limits));
  closers.push(() => telemetry.stop());
  onProgress('Starting the database');
  const stations = await createStations(await openGround(options, closers));
  const { access, sequencer, audit } = stations;
  const adminKey =
    options.role === 'worker' ? '' : await openAdminKey(options.dataDir, options.adminKey, access);
  onProgress('Starting the engine');
  const kpis = new KpiReader(stations.db, countRuns(stations));
  await begin(stations);
  let isReady = false;
  const started = () => {
    if (!isReady) throw new AiosError('store.unavailable', { detail: 'AIOS is still starting.' });
  };
  const intake = new BodyIntake(options.limits);
  const server = await createServer({
    ...serverOptions(options, stations, kpis, started, () => telemetry.prometheus()),
    intake,
  });
  await server.listen({ host, port: options.port });
  closers.push(() => server.close());
  const { port } = server.server.address() as { port: number };
  const grpcDoor = await openGrpc(options, stations, started, VERSION, intake);
  if (grpcDoor) closers.push(() => grpcDoor.close());
  const url = `http://${reachable(host)}:${port}`;
  if (options.role !== 'worker') stations.trainings.servedAt(url); // a worker has no door that its trainings could log to
  return {
    url,
    grpc: grpcDoor,
    dataDir,
    databaseName: options.databaseUrl ? 'your Postgres' : 'embedded Postgres',
    adminKey,
    stations,
    apply: (files) => applyProject(stations, files, { kind: 'system', id: 'aios' }, false),
    applyExample: (example, files) => applyExample(stations, example, files),
    publish: (events) => publish(stations, events),
    async loginUrl() {
      const admin = await access.authenticate(`Bearer ${adminKey}`, undefined);
      return `${options.publicUrl?.replace(/\/+$/, '') ?? url}/login?token=${await access.loginToken(admin!.id)}`;
    },
    async verifyAudit() {
      await sequencer.drain();
      return audit.verify();
    },
    ready() {
      isReady = true;
    },
    stop,
  };
}

/** A host as an address that a browser of this machine can open: one that stands for every address is none. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

async function openGround(options: AppOptions, closers: Ground['closers']): Promise<Ground> {
  const {
    dataDir,
    databaseUrl,
    limits,
    clock = systemClock,
    functions = [],
    featureFunctions = {},
    modelFunctions = {},
    role = 'all',
    onProgress,
  } = options;
  let target: ConnectionTarget;
  if (databaseUrl) target = { connectionString: databaseUrl };
  else if (role === 'worker') target = await joinEmbeddedPostgres(join(dataDir, 'postgres'));
  else {
    const postgres = await startEmbeddedPostgres({
      dataDir: join(dataDir, 'postgres'),
      onNotice: (message) => (message.startsWith('Preparing') ? onProgress?.(message) : logger.warn(message)),
    });
    closers.push(() => postgres.stop());
    target = postgres.target;
  }
  await migrate(target, [
    ...definitionMigrations,
    ...eventMigrations,
    ...contractMigrations,
    ...featureMigrations,
    ...modelMigrations,
    ...trackingMigrations,
    ...trainingMigrations,
    ...servingMigrations,
    ...budgetMigrations,
    ...workflowMigrations,
    ...taskMigrations,
    ...ledgerMigrations,
    ...lineageMigrations,
    ...openLineageMigrations,
    ...accessMigrations,
    ...kpiMigrations,
  ]);
  const db = await openDatabase(target, limits.connectionsMax, limits.statementMs);
  closers.push(() => db.close());
  const troubles = new Troubles(limits);
  const changes = await openChanges(db, clock, limits, troubles, closers);
  const commit = new GroupCommit(db, limits);
  closers.push(() => commit.close());
  const takesRuns = role !== 'api';
  const shared = { db, commit, changes, clock, limits, troubles, dataDir };
  return { ...shared, takesRuns, functions, featureFunctions, modelFunctions, closers };
}

/** Under a clock that is moved by hand every loop looks by itself: what is due next cannot be waited for by a timer. */
async function openChanges(
  db: Database,
  clock: Clock,
  limits: Limits,
  troubles: Troubles,
  closers: Ground['closers'],
): Promise<Changes> {
  if (clock !== systemClock) return POLLED;
  const changes = new DatabaseChanges({
    db,
    limits,
    onError: troubles.of('What other processes change is looked for, not told'),
    onBack: () => troubles.databaseIsBack(),
  });
  await changes.start();
  closers.push(() => changes.stop());
  return changes;
}

function serverOptions(
  { limits, consoleDir, host, publicUrl, corsOrigins, role }: AppOptions,
  stations: Stations,
  kpis: KpiReader,
  started: () => void,
  metrics: () => Promise<string>,
): Parameters<typeof createServer>[0] {
  const { access, db, contracts } = stations;
  const hosts = process.env.AIOS_HOSTS?.split(',') ?? [];
  const reached = publicUrl === undefined ? undefined : new URL(publicUrl);
  const names = ['127.0.0.1', 'localhost', '[::1]', host, ...hosts, ...(reached ? [reached.hostname] : [])];
  const port = createAccessPort(access, new Set(names));
  const checks = { store: async () => void (await db.query('select 1')), started };
  const onFault = createFaultLog(stations.troubles);
  if (role === 'worker')
    return { limits, access: port, onFault, routes: [systemRoutes({ checks, metrics })] };
  const check = (event: CloudEvent) => contracts.check(event);
  const publisher = new Publisher({
    ...stations,
    ...{ limits, check },
    keepsPosters: () => stations.engine.keepsPosters,
  });
  return {
    limits,
    access: port,
    ...(consoleDir ? { consoleDir } : {}),
    corsOrigins,
    onFault,
    serving: stations.serving,
    publisher,
    training: stations,
    routes: allRoutes({
      ...stations,
      version: VERSION,
      publicOrigin: reached?.origin,
      collections: COLLECTIONS,
      metrics,
      checks,
      check,
      publisher,
      can: port.can,
      kpis: () => kpis.read(),
      warningsOf: (planned) => [
        ...warningsOf(planned, { ...stations, registered: (kind) => registered(stations, kind) }),
        ...heldNotices(planned, stations),
        ...fallbackWarnings(planned, stations),
      ],
      fallbackWarningsOf: (model) => fallbackWarningsOf(model, stations),
      apply: (files, { kind, id }, dryRun) => applyProject(stations, files, { kind, id }, dryRun),
    }),
  };
}

/** Models are versions of a registry: a definition is one way to bring them. */
function registered({ models }: Stations, kind: string): string[] {
  return kind === 'model' ? models.list().map(({ name }) => name) : [];
}

/** Runs are counted when somebody looks, and now and then when nobody does; at the end those too that ended while the engine was drained. */
function countRuns({ db, clock, engine, troubles, closers }: Stations): KpiCounts {
  const counts = new KpiCounts(db, clock);
  const stopListening = engine.onRunChanged(({ runId }) => counts.note(runId));
  const timer = setInterval(() => {
    counts.advance().catch(troubles.of('Runs could not be counted'));
  }, KPI_PASS_MS);
  closers.push(async () => {
    stopListening();
    clearInterval(timer);
    await counts.advance().catch(() => {});
  });
  return counts;
}

async function publish({ contracts, log }: Stations, events: readonly CloudEvent[]): Promise<void> {
  for (const event of events) contracts.check(event);
  for (const outcome of await log.append(events)) if (outcome.status === 'rejected') throw outcome.reason;
}
