import { createServer } from 'node:net';
import type {
  Metadata,
  Server,
  ServerCredentials,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Limits } from '../kernel/limits.ts';
import { loadGrpcServices } from '../serving/protocol/grpc-services.ts';
import { serverMetadata } from '../serving/protocol/open-inference.ts';
import { refuseExtension, UNSERVED_METHODS } from '../serving/protocol/unserved.ts';
import type { Serving } from '../serving/traffic/serving.ts';
import { BodyIntake } from './body-intake.ts';
import { createAdmission } from './grpc-admission.ts';
import { type GrpcAccess, GrpcCalls } from './grpc-call.ts';
import { GrpcHealth } from './grpc-health.ts';
import { GrpcInference } from './grpc-inference.ts';
import { answerLean, type GrpcServerInside } from './grpc-lean.ts';
import { type ConfigMessage, GrpcModels, type GrpcModelsDependencies } from './grpc-models.ts';
import { GrpcReflection } from './grpc-reflection.ts';
import type { GrpcSettings, GrpcTls } from './grpc-settings.ts';
import type { OnFault } from './problems.ts';

const INFERENCE = 'inference.GRPCInferenceService';
/** What each method needs; those that are not here are open to all. */
const PERMISSIONS = {
  ModelReady: 'models.read',
  ModelMetadata: 'models.read',
  ModelConfig: 'models.read',
  ModelStatistics: 'models.read',
  RepositoryIndex: 'models.read',
  RepositoryModelLoad: 'models.load',
  RepositoryModelUnload: 'models.load',
  ModelInfer: 'serving.infer',
  ModelStreamInfer: 'serving.infer',
} as const;
const CLOSE_MS = 5_000; // what is under way may end; then it is cut
// A peer that is gone without a word is found by pings; one that only holds a connection is sent away.
const PING_MS = 60_000;
const PING_ANSWER_MS = 20_000;
const CONNECTION_IDLE_MS = 300_000;

export interface GrpcDoorOptions extends GrpcModelsDependencies, GrpcSettings {
  readonly host: string;
  readonly limits: Pick<
    Limits,
    | 'requestBytesMax'
    | 'bodyIntakeBytesMax'
    | 'streamsMax'
    | 'inferenceStreamsMax'
    | 'grpcCallsMax'
    | 'doorConnectionsMax'
    | 'requestIdCharsMax'
  >;
  readonly access: GrpcAccess;
  readonly serving: GrpcModelsDependencies['serving'] & Pick<Serving, 'infer'>;
  readonly version: string;
  /** Of large bodies, where the door of HTTP shares it; of its own when left out. */
  readonly intake?: BodyIntake | undefined;
  /** How long a call that needs no key may wait for its message; 10 s when left out. */
  readonly openMessageMs?: number | undefined;
  /** Whether traffic may come. */
  isReady(): Promise<boolean>;
  onFault: OnFault;
}

/** The open gRPC door. */
export interface GrpcDoor {
  readonly host: string;
  readonly port: number;
  readonly hasTls: boolean;
  /** The port that was to be taken unless another had it, and `port` is a free one. */
  readonly portInUse?: number | undefined;
  close(): Promise<void>;
}

/**
 * Opens the Open Inference Protocol's gRPC service, and gRPC's own of health and reflection, on a port of their own. The library is loaded here.
 *
 * @throws Error of the system when a port that was asked for is taken
 * @example const door = await openGrpcDoor({ host: '127.0.0.1', port: 7701, … })
 */
export async function openGrpcDoor(options: GrpcDoorOptions): Promise<GrpcDoor> {
  const { host, port, limits } = options;
  const [library, services] = await Promise.all([import('@grpc/grpc-js'), loadGrpcServices()]);
  const calls = new GrpcCalls(library, options.access, options.onFault, limits.requestIdCharsMax);
  const intake = options.intake ?? new BodyIntake(limits);
  const inference = new GrpcInference(options.serving, calls, limits.inferenceStreamsMax);
  const health = new GrpcHealth(options.isReady, [INFERENCE], limits.streamsMax);
  const server: Server = new library.Server({
    'grpc.max_receive_message_length': limits.requestBytesMax,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': PING_MS,
    'grpc.keepalive_timeout_ms': PING_ANSWER_MS,
    'grpc.max_connection_idle_ms': CONNECTION_IDLE_MS,
    'grpc.max_concurrent_streams': limits.grpcCallsMax,
    'grpc.enable_channelz': 0, // counts of calls that nobody can ask for
    interceptors: [
      createAdmission({
        admitOf: admissions(calls),
        identified: (status, metadata) => calls.identified(status, metadata),
        statusOf: (error, path, metadata) => calls.refusalOf(error, path, metadata, calls.headOf(metadata)),
        intake,
        messageBytesMax: limits.requestBytesMax,
        openMessageMs: options.openMessageMs,
      }),
    ],
  });
  server.addService(services.inference, inferenceHandlers(options, calls, inference, services.configMessage));
  const reflection = new GrpcReflection(services.describe, limits.streamsMax);
  for (const service of services.reflection)
    server.addService(service, {
      ServerReflectionInfo: calls.streaming((call: Parameters<typeof reflection.answer>[0]) =>
        reflection.answer(call),
      ),
    });
  server.addService(services.health, {
    Check: calls.unary('public', (request: { service: string }) => health.check(request)),
    List: calls.unary('public', () => health.list()),
    Watch: calls.streaming((call: ServerWritableStream<{ service: string }, { status: number }>) =>
      health.watch(call),
    ),
  });
  // Looked at first: the library writes a line of its own on each port that it does not get.
  const wanted = options.isPortDefault && !(await isFree(host, port)) ? 0 : port;
  const bound = await bind(server, host, wanted, credentialsOf(library, options.tls));
  const inside = server as unknown as GrpcServerInside;
  for (const listening of inside.http2Servers.keys()) listening.maxConnections = limits.doorConnectionsMax;
  const method = services.inference.ModelInfer!;
  answerLean(inside, { method, calls, inference, intake, messageBytesMax: limits.requestBytesMax });
  return {
    host,
    port: bound,
    hasTls: options.tls !== undefined,
    portInUse: wanted === port ? undefined : port,
    close: () =>
      new Promise((resolve) => {
        health.close();
        const timer = setTimeout(() => server.forceShutdown(), CLOSE_MS);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}

/** Who may call a method, by its path. */
function admissions(calls: GrpcCalls) {
  const admits = new Map(
    Object.entries(PERMISSIONS).map(([method, permission]) => [
      `/${INFERENCE}/${method}`,
      (metadata: Metadata) => calls.caller(metadata, permission),
    ]),
  );
  return (path: string) => admits.get(path);
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.on('error', () => resolve(false));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/** Answers with the port that it is. */
function bind(server: Server, host: string, port: number, credentials: ServerCredentials): Promise<number> {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) =>
    server.bindAsync(address, credentials, (error, taken) => {
      if (error === null) return resolve(taken);
      const detail = `gRPC cannot listen on ${address}: ${error.message}. Name another port with AIOS_GRPC_PORT, or off.`;
      reject(new Error(detail));
    }),
  );
}

function credentialsOf(
  { ServerCredentials }: typeof import('@grpc/grpc-js'),
  tls: GrpcTls | undefined,
): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const { certificates, key, clientAuthorities } = tls;
  // With their authorities, clients have to show a certificate: the handshake fails without (mutual TLS).
  return ServerCredentials.createSsl(
    clientAuthorities ?? null,
    [{ private_key: key, cert_chain: certificates }],
    clientAuthorities !== undefined,
  );
}

function inferenceHandlers(
  options: GrpcDoorOptions,
  calls: GrpcCalls,
  inference: GrpcInference,
  configMessage: ConfigMessage,
): UntypedServiceImplementation {
  const { version, isReady } = options;
  const models = new GrpcModels(options, configMessage);
  return {
    ServerLive: calls.unary('public', () => ({ live: true })),
    ServerReady: calls.unary('public', async () => ({ ready: await isReady().catch(() => false) })),
    ServerMetadata: calls.unary('public', () => serverMetadata(version)),
    ModelReady: calls.unary(PERMISSIONS.ModelReady, models.ready),
    ModelMetadata: calls.unary(PERMISSIONS.ModelMetadata, models.metadata),
    ModelConfig: calls.unary(PERMISSIONS.ModelConfig, models.config),
    ModelStatistics: calls.unary(PERMISSIONS.ModelStatistics, models.statistics),
    RepositoryIndex: calls.unary(PERMISSIONS.RepositoryIndex, models.index),
    RepositoryModelLoad: calls.unary(PERMISSIONS.RepositoryModelLoad, models.load),
    RepositoryModelUnload: calls.unary(PERMISSIONS.RepositoryModelUnload, models.unload),
    ModelInfer: calls.unary(PERMISSIONS.ModelInfer, inference.infer),
    ModelStreamInfer: inference.stream,
    ...Object.fromEntries(
      UNSERVED_METHODS.map(([method, extension]) => [
        method,
        calls.unary('public', () => refuseExtension(extension)),
      ]),
    ),
  };
}
