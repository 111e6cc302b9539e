import {
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  compressionAlgorithms,
  credentials,
  Metadata,
  makeClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { systemClock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { SERVING_DEFAULTS } from '../models/model-kind.ts';
import { loadGrpcServices } from '../serving/protocol/grpc-services.ts';
import { createFunctionRuntime, type FunctionModel } from '../serving/runtimes/function-runtime.ts';
import { DATATYPES, type Tensor, type TensorSpec } from '../serving/tensors/tensor.ts';
import { createServing } from '../serving/traffic/serving.ts';
import type { GrpcAccess } from './grpc-call.ts';
import { type GrpcDoorOptions, openGrpcDoor } from './grpc-door.ts';
import type { GrpcSettings } from './grpc-settings.ts';
import type { Caller } from './routes.ts';

interface TensorAnswer {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}
/** The members of all answers. */
export interface GrpcAnswer {
  readonly model_name: string;
  readonly inputs: readonly TensorAnswer[];
  readonly outputs: readonly TensorAnswer[];
  readonly raw_output_contents: readonly Uint8Array[];
  readonly config: { readonly input: readonly { readonly dims: readonly number[] }[] };
  readonly model_stats: readonly {
    readonly inference_stats: { readonly success: { readonly count: number } };
  }[];
  readonly models: readonly object[];
  readonly status: number;
  readonly error_message: string;
  readonly parameters: Readonly<Record<string, { readonly string_param?: string }>>;
  readonly infer_response: GrpcAnswer & { readonly id: string };
}
type Unary = (
  request: object,
  metadata: Metadata,
  options: object,
  done: (error: ServiceError | null, answer: GrpcAnswer) => void,
) => ClientUnaryCall;

const spec = (name: string, datatype: TensorSpec['datatype']): TensorSpec => ({
  name,
  datatype,
  shape: [-1, 2],
});
const copied = (tensor: Tensor | undefined): Tensor[] => [{ ...(tensor as Tensor), name: 'y' }];
const firstOf = (tensor: Tensor | undefined) => Number((tensor as Tensor & { data: Float32Array }).data[0]);
const echo = (datatype: TensorSpec['datatype']): FunctionModel => ({
  inputs: [spec('x', datatype)],
  outputs: [spec('y', datatype)],
  run: ([x]) => copied(x),
});
const functions: Record<string, FunctionModel> = {
  ...Object.fromEntries(DATATYPES.map((datatype) => [`echo-${datatype.toLowerCase()}`, echo(datatype)])),
  // Passes its warm-up with zeros.
  never: { ...echo('FP32'), run: ([x]) => (firstOf(x) === 0 ? copied(x) : new Promise(() => {})) },
  limited: echo('FP32'),
  'limited-too': echo('FP32'),
  'limited-stream': echo('FP32'),
  failing: {
    ...echo('FP32'),
    run: ([x]) => {
      if (firstOf(x) === 13) throw new Error('13 is refused');
      return copied(x);
    },
  },
};
/** Two calls at once of one key, then one in 100 s. */
const GUARDED: Readonly<Record<string, object>> = {
  limited: { rateLimit: { perSecond: 0.01, burst: 2 } },
  'limited-too': { rateLimit: { perSecond: 0.01, burst: 2 } },
  'limited-stream': { rateLimit: { perSecond: 0.01, burst: 2 } },
};
const caller = (roles: string[]): Caller => ({ id: 'k', name: 'k', kind: 'key', roles, groups: [] });

/** Methods of the health service; all others are of the protocol. */
const HEALTH: ReadonlySet<string> = new Set(['Check', 'List']);

const accessOf = (state: { isRevoked: boolean }): GrpcAccess => ({
  authenticate(authorization) {
    if (authorization === undefined) return undefined;
    if (authorization === 'Bearer good') return caller(['admin']);
    if (authorization === 'Bearer later') return Promise.resolve(caller(['admin']));
    if (authorization === 'Bearer fleeting' && !state.isRevoked) return caller(['admin']);
    if (authorization === 'Bearer weak') return caller([]);
    throw new AiosError('access.unauthenticated', { detail: 'not valid' });
  },
  can: ({ roles }) => roles.includes('admin'),
});

/** A model for each datatype that answers what it gets, and some that do not. */
function modelsUnderTest() {
  const resolved = new Map(
    Object.entries(functions).map(([name, { inputs, outputs }]) => [
      name,
      {
        name,
        version: 3,
        digest: 'd',
        signature: { inputs, outputs },
        serving: { ...SERVING_DEFAULTS, timeoutMs: 60_000, ...GUARDED[name] },
        runtime: 'function',
      },
    ]),
  );
  return {
    resolve(name: string, reference?: string | number) {
      const model = resolved.get(name);
      if (!model) throw new AiosError('models.unknown_model', { detail: name });
      if (reference !== undefined && String(reference) !== '3')
        throw new AiosError('models.unknown_version', { detail: String(reference) });
      return model;
    },
    artifact: async () => new Uint8Array(),
    get: (name: string) => ({ name, versions: [{ version: 3 }] }),
    list: () => [...resolved.keys()].map((name) => ({ name, versions: [{ version: 3 }] })),
  };
}

/** The metadata of a key: `good`, `later` (looked up), `fleeting` (until `isRevoked`), `weak` (without permissions), or one that is not valid. */
export function keyOf(name = 'good'): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${name}`);
  return metadata;
}

/** The door over models that are functions, and a client of grpc-js. `state` says what the server shall. */
export async function openGrpcUnderTest(
  settings: Partial<GrpcSettings & Pick<GrpcDoorOptions, 'intake' | 'openMessageMs'>> = {},
  channel: ChannelCredentials = credentials.createInsecure(),
) {
  const limits = limitsFrom(
    'requestBytesMax=1000000,streamsMax=2,inferenceStreamsMax=3,grpcCallsMax=17,doorConnectionsMax=5',
  );
  const models = modelsUnderTest();
  const serving = createServing({ models, runtimes: { function: createFunctionRuntime(functions) }, limits });
  await serving.load('echo-fp32');
  const faultIds: (string | undefined)[] = [];
  const state = { isReady: true, isRevoked: false };
  const door = await openGrpcDoor({
    port: 0,
    ...settings,
    host: '127.0.0.1',
    limits,
    serving,
    models,
    clock: systemClock,
    commit: { commit: async () => [] },
    auditLog: { entry: (item: unknown) => ({ item }) as never },
    version: '1.2.3',
    access: accessOf(state),
    isReady: async () => state.isReady,
    onFault: (_, requestId) => void faultIds.push(requestId),
  });
  const clients = await clientsOf(door.port, channel);
  return {
    serving,
    state,
    /** Of the calls that met a fault of the server. */
    faultIds,
    door,
    ...clients,
    async close() {
      clients.closeAll();
      await door.close();
      serving.close();
    },
  };
}

/** Clients of grpc-js, for all that they can ask. */
async function clientsOf(port: number, channel: ChannelCredentials) {
  const services = await loadGrpcServices();
  const open = (service: object, options: object = {}): Client =>
    new (makeClientConstructor(service as never, ''))(`127.0.0.1:${port}`, channel, options);
  const [client, health] = [open(services.inference), open(services.health)];
  // Its calls are answered by grpc-js.
  const compressing = open(services.inference, {
    'grpc.default_compression_algorithm': compressionAlgorithms.gzip,
  });
  const method = <Method>(on: Client, name: string): Method => {
    const methods = on as unknown as Record<string, (...given: unknown[]) => unknown>;
    return methods[name]!.bind(on) as Method;
  };
  return {
    start: (name: string, request: object, done: Parameters<Unary>[3]) =>
      method<Unary>(client, name)(request, keyOf(), {}, done),
    call: (name: string, request: object, metadata = keyOf(), options: object = {}): Promise<GrpcAnswer> =>
      new Promise((done, fail) =>
        method<Unary>(HEALTH.has(name) ? health : client, name)(
          request,
          metadata,
          options,
          (error, answer) => (error ? fail(error) : done(answer)),
        ),
      ),
    /** As `call`, with the metadata: that before the answer, and that of the status. */
    async told(name: string, request: object, metadata: Metadata, { isCompressed = false } = {}) {
      let initial: Metadata | undefined;
      const trailing = await new Promise<Metadata>((done) => {
        const on = HEALTH.has(name) ? health : isCompressed ? compressing : client;
        const asked = method<Unary>(on, name)(request, metadata, {}, () => {});
        asked.on('metadata', (found) => {
          initial = found;
        });
        asked.on('status', (status) => done(status.metadata));
      });
      return { initial: initial?.getMap() ?? {}, trailing: trailing.getMap() };
    },
    stream: (metadata: Metadata) =>
      method<(metadata: Metadata) => ClientDuplexStream<object, GrpcAnswer>>(
        client,
        'ModelStreamInfer',
      )(metadata),
    watch: (service: string) =>
      method<(request: object) => ClientReadableStream<GrpcAnswer>>(health, 'Watch')({ service }),
    closeAll() {
      for (const each of [client, compressing, health]) each.close();
    },
  };
}
