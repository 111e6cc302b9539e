import type { ChannelCredentials, Client, ClientOptions, Metadata, ServiceError } from '@grpc/grpc-js';
import { requestToGrpc } from '../protocol/grpc-infer.ts';
import type { ModelInferResponse } from '../protocol/grpc-messages.ts';
import { type GrpcService, loadGrpcServices } from '../protocol/grpc-services.ts';
import { tensorsFromGrpc } from '../protocol/grpc-tensors.ts';
import { tensorsOfMetadata } from '../protocol/oip-client.ts';
import type { Tensor } from '../tensors/tensor.ts';
import type { OipEndpoint, RemoteRuntimeOptions } from './oip-endpoint.ts';
import {
  answerMs,
  filledHeaders,
  type RemoteAccess,
  RemoteReplica,
  readable,
  tensorsOf,
  written,
} from './remote.ts';
import {
  ModelRefused,
  type Replica,
  RunFailed,
  type RuntimeModel,
  ServerBusy,
  ServerFailed,
} from './runtime.ts';

/** Statuses of gRPC (google.rpc.Code). */
const UNKNOWN = 2;
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const FAILED_PRECONDITION = 9;
const OUT_OF_RANGE = 11;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const DATA_LOSS = 15;
const UNAUTHENTICATED = 16;

const RUN_REFUSED = new Set([INVALID_ARGUMENT, FAILED_PRECONDITION, OUT_OF_RANGE]);
/** As 500 of HTTP: servers in Python answer with UNKNOWN where the code of a model throws. */
const RUN_FAILED = new Set([UNKNOWN, UNIMPLEMENTED, INTERNAL, DATA_LOSS]);
const START_REFUSED = new Set([
  INVALID_ARGUMENT,
  NOT_FOUND,
  PERMISSION_DENIED,
  UNIMPLEMENTED,
  UNAUTHENTICATED,
]);

/** Starts a replica over gRPC: a connection of its own, to addresses that were checked. The library is loaded by the first. */
export async function startOipGrpc(
  model: RuntimeModel,
  endpoint: OipEndpoint,
  { access, startMs, answerBytesMax }: RemoteRuntimeOptions,
): Promise<Replica> {
  const [{ inference }, library] = await Promise.all([loadGrpcServices(), import('@grpc/grpc-js')]);
  const client = await connect(endpoint, access, answerBytesMax);
  const metadata = new library.Metadata();
  for (const [name, value] of Object.entries(filledHeaders(endpoint, access))) metadata.set(name, value);
  const call = callerOf(client, inference, metadata);
  const name = endpoint.model ?? model.name;
  const { version = '' } = endpoint;
  try {
    const told = await call<object>('ModelMetadata', { name, version }, startMs, undefined).catch(
      (error: ServiceError) => {
        if (!START_REFUSED.has(error.code)) throw error;
        throw new ModelRefused(`${name}: status ${error.code}: ${error.details}`);
      },
    );
    const tensors = tensorsOf(tensorsOfMetadata(told), model.signature);
    return new OipGrpcReplica(tensors, client, (inputs, withinMs, signal) =>
      call<ModelInferResponse>(
        'ModelInfer',
        written(() => requestToGrpc(name, version, inputs)),
        answerMs(endpoint, withinMs),
        signal,
      ),
    );
  } catch (error) {
    client.close();
    throw error;
  }
}

type Infer = (
  inputs: readonly Tensor[],
  withinMs: number | undefined,
  signal: AbortSignal,
) => Promise<ModelInferResponse>;

class OipGrpcReplica extends RemoteReplica {
  readonly #client: Client;
  readonly #infer: Infer;

  constructor(tensors: Pick<Replica, 'inputs' | 'outputs'>, client: Client, infer: Infer) {
    super(tensors);
    this.#client = client;
    this.#infer = infer;
  }

  protected override async exchange(
    inputs: readonly Tensor[],
    withinMs: number | undefined,
    signal: AbortSignal,
  ): Promise<readonly Tensor[]> {
    const answer = await this.#infer(inputs, withinMs, signal).catch((error: ServiceError) => {
      const told = `status ${error.code}: ${error.details}`;
      if (error.code === RESOURCE_EXHAUSTED) throw new ServerBusy(told, error.code);
      if (RUN_FAILED.has(error.code)) throw new ServerFailed(told, { upstreamStatus: error.code });
      throw RUN_REFUSED.has(error.code) ? new RunFailed(told) : new Error(told);
    });
    return readable(() => tensorsFromGrpc('Output', answer.outputs, answer.raw_output_contents));
  }

  protected override close(): void {
    this.#client.close();
  }
}

async function connect({ url }: OipEndpoint, access: RemoteAccess, answerBytesMax: number): Promise<Client> {
  const { Client, credentials } = await import('@grpc/grpc-js');
  const { protocol, hostname: bracketed, port: named, host } = new URL(url);
  const isTls = protocol === 'https:';
  const hostname = bracketed.replace(/^\[|\]$/g, '');
  const port = Number(named) || (isTls ? 443 : 80);
  const addresses = await access.addresses(hostname, port);
  const family = addresses[0]!.family;
  const list = addresses.filter((each) => each.family === family);
  const at = list.map(({ address }) => (family === 6 ? `[${address}]:${port}` : `${address}:${port}`));
  const secured: ChannelCredentials = isTls
    ? credentials.createSsl(access.roots())
    : credentials.createInsecure();
  const options: ClientOptions = {
    'grpc.default_authority': host,
    ...(isTls ? { 'grpc.ssl_target_name_override': hostname } : {}),
    'grpc.enable_retries': 0, // the queue knows better
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': answerBytesMax,
    'grpc.max_send_message_length': -1,
    'grpc.primary_user_agent': 'aios',
  };
  return new Client(`ipv${family}:${at.join(',')}`, secured, options);
}

function callerOf(client: Client, service: GrpcService, metadata: Metadata) {
  return <Answer>(
    name: string,
    message: object,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Answer> => {
    const { path, requestSerialize, responseDeserialize } = service[name]!;
    return new Promise((resolve, reject) => {
      const call = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        message,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, answer) => {
          signal?.removeEventListener('abort', cancel);
          if (error) reject(error);
          else resolve(answer as Answer);
        },
      );
      const cancel = () => call.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
    });
  };
}
