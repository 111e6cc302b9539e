import type { ChannelCredentials, Client, Metadata, ServiceError } from '@grpc/grpc-js';
import type { MethodDefinition, PackageDefinition } from '@grpc/proto-loader';
import { context, propagation } from '@opentelemetry/api';
import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { type Authentication, secretsOf } from './authentication.ts';
import { trustedRoots } from './authorities.ts';
import { mayPass } from './delivery.ts';
import { guardedAddresses } from './egress.ts';
import type { Outgoing } from './outgoing.ts';
import { redact } from './secrets.ts';

interface GrpcCall {
  /** A name, or `https://name` for TLS on another port than 443. */
  readonly host: string;
  /** 443 when left out. */
  readonly port?: number | undefined;
  /** `/shop.Orders/Place` */
  readonly path: string;
  readonly responseStream: boolean;
  /** A FileDescriptorSet in base64 with the messages of the method. */
  readonly descriptors: string;
  readonly arguments: JsonObject;
  readonly authentication?: Authentication | undefined;
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

type Method = MethodDefinition<object, object>;

/** Messages as JSON has them: 64-bit numbers and enums as text, bytes as base64. */
const AS_JSON = {
  keepCase: true,
  longs: String,
  enums: String,
  bytes: String,
  defaults: true,
  oneofs: false,
};
const TLS_PORT = 443;
const METHODS_KEPT_MAX = 500;
/** Statuses of gRPC as those of HTTP (google.rpc.Code). */
const HTTP_STATUS: { readonly [code: number]: number } = {
  3: 400,
  5: 404,
  6: 409,
  7: 403,
  8: 429,
  9: 400,
  10: 409,
  11: 400,
  12: 501,
  14: 503,
  16: 401,
};
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const INTERNAL = 13;

/** Calls of gRPC services: a connection for each call, to addresses that were checked, one attempt. The libraries are loaded by the first call. */
export class GrpcCalls {
  readonly #outgoing: Outgoing;
  readonly #methods = new Map<string, Method>();
  #tls: ChannelCredentials | undefined;

  constructor(outgoing: Outgoing) {
    this.#outgoing = outgoing;
  }

  /**
   * The message that the method answers; a list of them when it answers a stream.
   *
   * @throws AiosError `connectors.refused` and `connectors.failed` (the status of gRPC as that of HTTP in `remoteStatus`), `connectors.unreachable` (nothing was
   * sent), `connectors.outcome_unknown`, `connectors.egress_refused`, `connectors.input_invalid`, `connectors.response_too_large`
   * @example await grpc.call({ host: 'orders.example.org', path: '/shop.Orders/Place', arguments: { id: 1 }, … })
   */
  async call(call: GrpcCall): Promise<Json> {
    const sent = new Set<string>();
    const target = targetOf(call);
    const method = await this.#method(call);
    const client = await this.#connect(target, call);
    try {
      const metadata = await this.#metadata(call, target, sent);
      const deadline = Date.now() + this.#outgoing.limits.httpCallMs;
      return await answered(client, method, call, metadata, deadline);
    } catch (error) {
      if (!(error instanceof AiosError)) throw error;
      throw new AiosError(error.code, { detail: redact(error.message, sent), extensions: error.extensions });
    } finally {
      client.close();
    }
  }

  async #method({ path, descriptors }: GrpcCall): Promise<Method> {
    const kept = this.#methods.get(path + descriptors);
    if (kept) return kept;
    const { loadFileDescriptorSetFromBuffer } = await import('@grpc/proto-loader');
    const [, service = '', name = ''] = path.split('/');
    const found: PackageDefinition = loadFileDescriptorSetFromBuffer(
      Buffer.from(descriptors, 'base64'),
      AS_JSON,
    );
    const method = (found[service] as { [name: string]: Method } | undefined)?.[name];
    if (!method) throw new AiosError('connectors.input_invalid', { detail: `The descriptors lack ${path}.` });
    if (this.#methods.size >= METHODS_KEPT_MAX) this.#methods.clear();
    this.#methods.set(path + descriptors, method);
    return method;
  }

  /** Connected, so that from here on what fails may have been done. */
  async #connect({ host, port, isTls }: Target, { signal }: GrpcCall): Promise<Client> {
    const { limits, resolve } = this.#outgoing;
    const addresses = await guardedAddresses(host, this.#outgoing.isAllowed(host, port), resolve);
    const { Client, credentials } = await import('@grpc/grpc-js');
    // Once: what is trusted is some hundred certificates to read.
    if (isTls) this.#tls ??= credentials.createSsl(trustedRoots());
    const family = addresses[0]!.family;
    const list = addresses.filter((each) => each.family === family);
    const at = list.map(({ address }) => (family === 6 ? `[${address}]:${port}` : `${address}:${port}`));
    const client = new Client(
      `ipv${family}:${at.join(',')}`,
      isTls ? this.#tls! : credentials.createInsecure(),
      {
        'grpc.default_authority': port === TLS_PORT ? host : `${host}:${port}`,
        ...(isTls ? { 'grpc.ssl_target_name_override': host } : {}),
        'grpc.enable_retries': 0,
        'grpc.enable_http_proxy': 0,
        'grpc.service_config_disable_resolution': 1,
        'grpc.use_local_subchannel_pool': 1,
        'grpc.max_receive_message_length': limits.connectorResponseBytesMax,
        'grpc.primary_user_agent': 'aios',
      },
    );
    const stop = () => client.close();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await new Promise<void>((done, fail) => {
        client.waitForReady(Date.now() + limits.httpCallMs, (error) => (error ? fail(error) : done()));
        const refuse = () => {
          // 3: a transient failure, which the library would wait out; a flow says itself when to try again.
          const state = client.getChannel().getConnectivityState(true);
          if (state === 3) fail(new Error('no connection'));
          else if (state !== 2)
            client.getChannel().watchConnectivityState(state, Number.POSITIVE_INFINITY, refuse);
        };
        refuse();
      });
      return client;
    } catch (error) {
      client.close();
      const detail = `${host}:${port}: ${error instanceof Error ? error.message : String(error)}`;
      throw new AiosError(signal.aborted ? 'connectors.canceled' : 'connectors.unreachable', { detail });
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  async #metadata(
    { path, authentication, idempotencyKey, signal }: GrpcCall,
    target: Target,
    sent: Set<string>,
  ) {
    const { Metadata } = await import('@grpc/grpc-js');
    const metadata = new Metadata();
    const url = new URL(
      `${target.isTls ? 'https' : 'http'}://${bracketed(target.host)}:${target.port}${path}`,
    );
    const { authenticator } = this.#outgoing;
    const authorization = await authenticator.authorization(
      authentication,
      { method: 'POST', url },
      undefined,
      signal,
    );
    for (const secret of secretsOf(authorization)) sent.add(secret);
    if (authorization !== undefined) metadata.set('authorization', authorization);
    metadata.set('idempotency-key', idempotencyKey);
    const trace: Record<string, string> = {};
    propagation.inject(context.active(), trace);
    for (const [name, value] of Object.entries(trace)) metadata.set(name, value);
    return metadata;
  }
}

interface Target {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
}

function targetOf({ host: given, port: wanted }: GrpcCall): Target {
  const [, scheme, rest = given] = /^(https?):\/\/([^/]+)\/?$/.exec(given) ?? [];
  const host = rest.replace(/^\[|\]$/g, '');
  const port = wanted ?? (scheme === 'http' ? 80 : TLS_PORT);
  if (!/^[\w.:-]+$/.test(host) || !(port > 0 && port < 65_536))
    throw new AiosError('connectors.input_invalid', { detail: `“${given.slice(0, 200)}” is not a host.` });
  return { host, port, isTls: scheme === 'https' || (scheme === undefined && port === TLS_PORT) };
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function answered(
  client: Client,
  method: Method,
  { arguments: given, signal }: GrpcCall,
  metadata: Metadata,
  deadline: number,
): Promise<Json> {
  const { path, requestSerialize, responseDeserialize, responseStream } = method;
  return new Promise((done, fail) => {
    const options = { deadline };
    const settle = (error: ServiceError | null, value?: unknown) => {
      signal.removeEventListener('abort', stop);
      if (error) fail(failureOf(error, path, signal));
      else done(value as Json);
    };
    let call: { cancel(): void };
    const stop = () => call.cancel();
    if (responseStream) {
      const messages: object[] = [];
      const stream = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        given,
        metadata,
        options,
      );
      stream.on('data', (message: object) => messages.push(message));
      stream.on('error', (error) => settle(error as ServiceError));
      stream.on('end', () => settle(null, messages));
      call = stream;
    } else {
      call = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        given,
        metadata,
        options,
        settle,
      );
    }
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
}

function failureOf({ code, details }: ServiceError, path: string, signal: AbortSignal): AiosError {
  const detail = `${path}: status ${code}: ${details}`;
  if (code === INTERNAL && /serialization failure/i.test(details))
    return new AiosError('connectors.input_invalid', { detail });
  if (code === 8 && /larger than max/i.test(details))
    return new AiosError('connectors.response_too_large', { detail });
  const isLost = code === 14 && /dropped|closed|reset|GOAWAY|ECONN|EPIPE/i.test(details);
  if (code === CANCELLED || code === DEADLINE_EXCEEDED || isLost)
    return new AiosError('connectors.outcome_unknown', {
      detail,
      ...(signal.aborted ? { extensions: { canceled: true } } : {}),
    });
  const status = HTTP_STATUS[code] ?? 500;
  return new AiosError(mayPass(status) ? 'connectors.failed' : 'connectors.refused', {
    detail,
    extensions: { remoteStatus: status },
  });
}
