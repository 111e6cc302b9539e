import type { Issue } from '../../kernel/errors.ts';
import { compileExpression, type Expression } from '../../kernel/expressions.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { escapePointer } from '../../kernel/schema.ts';
import { jsonData } from '../protocol/oip-client.ts';
import { dataToJson } from '../tensors/json-data.ts';
import { elementCount, type Tensor, type TensorSpec } from '../tensors/tensor.ts';
import type { RemoteRuntimeOptions } from './oip-endpoint.ts';
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
import { answeredBy, ask } from './remote-http.ts';
import { type Replica, type Runtime, ServerFailed } from './runtime.ts';

/** A model behind any server that takes JSON and answers JSON (BentoML, TorchServe, TensorFlow Serving, one's own). */
interface HttpEndpoint {
  /** Where requests are sent. */
  readonly url: string;
  readonly method?: 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /**
   * CEL, or members each of CEL, over `inputs` (name → nested lists, rows first) and `rows` (their number): the body that is sent;
   * `inputs` as it is when left out.
   */
  readonly request?: MappingDefinition;
  /**
   * CEL over `body`, `inputs` and `rows`: an object of output name → nested or flat lists, or the one output itself; `body` as it is when left out.
   */
  readonly response?: MappingDefinition;
}

type MappingDefinition = string | { readonly [member: string]: MappingDefinition };
type Mapping = (scope: Readonly<Record<string, unknown>>) => Json;

const mapping = { type: ['string', 'object'] };

/** What the definition of such a model holds; its mappings are compiled when it is read. */
export const HTTP_KIND: {
  readonly endpoint: JsonObject;
  readonly check: (endpoint: JsonObject) => readonly Issue[];
} = {
  endpoint: {
    type: 'object',
    additionalProperties: false,
    required: ['url'],
    properties: {
      url: { type: 'string', pattern: '^https?://[^/?#@]+(/[^#]*)?$' },
      method: { enum: ['POST', 'PUT'] },
      request: mapping,
      response: mapping,
      ...ENDPOINT_MEMBERS,
    },
  },
  check: (endpoint) => [
    ...checkHeaders(endpoint),
    ...['request', 'response'].flatMap((name) =>
      endpoint[name] === undefined ? [] : faultsOf(`/${name}`, endpoint[name] as MappingDefinition),
    ),
  ],
};

function faultsOf(path: string, definition: MappingDefinition): Issue[] {
  if (typeof definition === 'object')
    return Object.entries(definition).flatMap(([name, member]) =>
      faultsOf(`${path}/${escapePointer(name)}`, member),
    );
  try {
    compileExpression(definition);
    return [];
  } catch (error) {
    return [{ path, message: (error as Error).message }];
  }
}

function compileMapping(definition: MappingDefinition): Mapping {
  if (typeof definition === 'string') return compileExpression(definition) satisfies Expression;
  const members = Object.entries(definition).map(([name, member]): [string, Mapping] => [
    name,
    compileMapping(member),
  ]);
  return (scope) => Object.fromEntries(members.map(([name, member]) => [name, member(scope)]));
}

/**
 * Runs models on servers of any JSON over HTTP. Their tensors are those that the signature declares: such a server tells none.
 *
 * @example createHttpRuntime({ access, startMs: 30_000, answerBytesMax: 64 * 2 ** 20 })
 */
export function createHttpRuntime({ access, answerBytesMax }: RemoteRuntimeOptions): Runtime {
  return {
    remote: true,
    async start({ endpoint, signature }) {
      const server = endpoint as unknown as HttpEndpoint;
      const { url, method = 'POST', request = 'inputs', response = 'body' } = server;
      const headers = { 'content-type': 'application/json', ...filledHeaders(server, access) };
      return new HttpReplica(
        tensorsOf(undefined, signature),
        compileMapping(request),
        compileMapping(response),
        async (body, withinMs, signal) => {
          const timeoutMs = answerMs(server, withinMs);
          const question = { method, url, headers, body, timeoutMs, answerBytesMax, signal };
          return jsonOf(answeredBy(await ask(access.dispatcher, question)));
        },
      );
    },
  };
}

const jsonOf = (bytes: Buffer) => readable(() => JSON.parse(String(bytes)) as Json);

type Post = (body: string, withinMs: number | undefined, signal: AbortSignal) => Promise<Json>;

class HttpReplica extends RemoteReplica {
  readonly #request: Mapping;
  readonly #response: Mapping;
  readonly #post: Post;

  constructor(tensors: Pick<Replica, 'inputs' | 'outputs'>, request: Mapping, response: Mapping, post: Post) {
    super(tensors);
    this.#request = request;
    this.#response = response;
    this.#post = post;
  }

  protected override async exchange(
    tensors: readonly Tensor[],
    withinMs: number | undefined,
    signal: AbortSignal,
  ): Promise<readonly Tensor[]> {
    const rows = tensors[0]?.shape[0] ?? 1;
    const inputs = Object.fromEntries(
      tensors.map((tensor) => [tensor.name, nested(dataToJson(tensor), tensor.shape)]),
    );
    const body = await this.#post(
      JSON.stringify(written(() => this.#request({ inputs, rows }))),
      withinMs,
      signal,
    );
    const answer = readable(() => this.#response({ body, inputs, rows }));
    return this.outputs.map((spec) => outputOf(spec, partOf(answer, spec, this.outputs), rows));
  }
}

/** A flat list as lists in lists. */
function nested(flat: Json[], shape: readonly number[]): Json {
  if (shape.length === 0) return flat[0] ?? null;
  let level: Json[] = flat;
  for (let axis = shape.length - 1; axis > 0; axis--) {
    const size = shape[axis]!;
    const count = elementCount(shape.slice(0, axis));
    const below = level;
    level = Array.from({ length: count }, (_, i) => below.slice(i * size, (i + 1) * size));
  }
  return level;
}

function partOf(answer: Json, { name }: TensorSpec, all: readonly TensorSpec[]): Json[] {
  const part = isObject(answer) ? answer[name] : all.length === 1 ? answer : undefined;
  if (Array.isArray(part)) return part;
  const found = JSON.stringify(part ?? null).slice(0, 100);
  throw new ServerFailed(`the response mapping gives no list for the output “${name}”: ${found}`);
}

/** An output by its declared form; the free dimensions follow from what came: the first from the rows, others from the nesting. */
function outputOf({ name, datatype, shape: declared }: TensorSpec, data: Json[], rows: number): Tensor {
  const sizes: number[] = [];
  for (let level: Json | undefined = data; Array.isArray(level); level = level[0]) sizes.push(level.length);
  const isFlat = sizes.length === 1 && declared.length > 1;
  const shape = declared.map((size, axis) => {
    if (size !== -1) return size;
    if (!isFlat) return sizes[axis] ?? 0;
    return axis === 0
      ? rows
      : sizes[0]! / elementCount([rows, ...declared.slice(1).filter((each) => each !== -1)]);
  });
  const fits = isFlat ? elementCount(shape) === sizes[0] : sizes.join() === shape.join();
  if (!fits)
    throw new ServerFailed(
      `the output “${name}” has the shape [${declared.join(', ')}]; the response mapping gives [${sizes.join(', ')}]`,
    );
  return readable(() => ({ name, datatype, shape, data: jsonData(name, datatype, shape, data) }));
}
