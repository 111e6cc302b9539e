import type { Issue } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { readOipAnswer, takesBinary, tensorsOfMetadata, writeOipRequest } from '../protocol/oip-client.ts';
import type { Tensor } from '../tensors/tensor.ts';
import type { OipEndpoint, RemoteRuntimeOptions } from './oip-endpoint.ts';
import { startOipGrpc } from './oip-grpc.ts';
import {
  answerMs,
  checkHeaders,
  ENDPOINT_MEMBERS,
  filledHeaders,
  RemoteReplica,
  readable,
  tensorsOf,
  written,
} from './remote.ts';
import { answeredBy, ask, describedBy, type HttpQuestion } from './remote-http.ts';
import type { Replica, Runtime, RuntimeModel } from './runtime.ts';

/** What the definition of such a model holds. */
export const OIP_KIND: {
  readonly endpoint: JsonObject;
  readonly check: (endpoint: JsonObject) => readonly Issue[];
} = {
  endpoint: {
    type: 'object',
    additionalProperties: false,
    required: ['url'],
    properties: {
      url: { type: 'string', pattern: '^https?://[^/?#@]+(/[^?#]*)?$' },
      model: { type: 'string', minLength: 1 },
      version: { type: 'string', minLength: 1 },
      protocol: { enum: ['http', 'grpc'] },
      ...ENDPOINT_MEMBERS,
    },
  },
  check: checkHeaders,
};

/**
 * Runs models on servers that speak the Open Inference Protocol. Its tensors are those that the server tells; over HTTP they travel as bytes
 * where the server lists the binary extension.
 *
 * @example createOipRuntime({ access, startMs: 30_000, answerBytesMax: 64 * 2 ** 20 })
 */
export function createOipRuntime(options: RemoteRuntimeOptions): Runtime {
  return {
    remote: true,
    start(model) {
      const endpoint = model.endpoint as unknown as OipEndpoint;
      return endpoint.protocol === 'grpc'
        ? startOipGrpc(model, endpoint, options)
        : startHttp(model, endpoint, options);
    },
  };
}

async function startHttp(
  model: RuntimeModel,
  endpoint: OipEndpoint,
  { access, startMs, answerBytesMax }: RemoteRuntimeOptions,
): Promise<Replica> {
  const base = endpoint.url.replace(/\/+$/, '');
  const headers = filledHeaders(endpoint, access);
  const shared = { headers, answerBytesMax };
  const get = async (path: string) => {
    const question: HttpQuestion = {
      ...shared,
      method: 'GET',
      url: base + path,
      timeoutMs: startMs,
      signal: undefined,
    };
    return JSON.parse(String(describedBy(await ask(access.dispatcher, question), path))) as Json;
  };
  const version = endpoint.version ? `/versions/${encodeURIComponent(endpoint.version)}` : '';
  const path = `/v2/models/${encodeURIComponent(endpoint.model ?? model.name)}${version}`;
  const [server, metadata] = await Promise.all([get('/v2'), get(path)]);
  const tensors = tensorsOf(tensorsOfMetadata(metadata), model.signature);
  return new OipHttpReplica(tensors, takesBinary(server), (body, more, timeoutMs, signal) =>
    ask(access.dispatcher, {
      ...shared,
      method: 'POST',
      url: `${base}${path}/infer`,
      headers: { ...headers, ...more },
      body,
      timeoutMs: answerMs(endpoint, timeoutMs),
      signal,
    }),
  );
}

type Post = (
  body: string | Uint8Array,
  headers: Record<string, string>,
  timeoutMs: number | undefined,
  signal: AbortSignal,
) => ReturnType<typeof ask>;

const HEADER_LENGTH = 'inference-header-content-length';

class OipHttpReplica extends RemoteReplica {
  readonly #isBinary: boolean;
  readonly #post: Post;

  constructor(tensors: Pick<Replica, 'inputs' | 'outputs'>, isBinary: boolean, post: Post) {
    super(tensors);
    this.#isBinary = isBinary;
    this.#post = post;
  }

  protected override async exchange(
    inputs: readonly Tensor[],
    withinMs: number | undefined,
    signal: AbortSignal,
  ): Promise<readonly Tensor[]> {
    const { body, headerBytes } = written(() => writeOipRequest(inputs, this.#isBinary, withinMs));
    const headers: Record<string, string> =
      headerBytes === undefined
        ? { 'content-type': 'application/json' }
        : { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: String(headerBytes) };
    const answer = await this.#post(body, headers, withinMs, signal);
    const length = answer.headers[HEADER_LENGTH];
    const read = answeredBy(answer);
    return readable(() => readOipAnswer(read, typeof length === 'string' ? length : undefined));
  }
}
