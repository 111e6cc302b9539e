import { check, NotSupported } from './check.ts';
import { countOf, fromBytes, type Tensor, type TensorMetadata, tensorFor, toBytes } from './tensors.ts';

export interface TargetOptions {
  /** Without a path: `http://127.0.0.1:8000`. */
  readonly url: string;
  /** A model that runs on zeros, or on `inputs`. */
  readonly model: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Values of inputs by name, repeated as needed; zeros otherwise. */
  readonly inputs?: Readonly<Record<string, readonly (number | string | boolean)[]>> | undefined;
  /** Models that answer with what they get, `{datatype}` in their name: `identity-{datatype}`. */
  readonly identityModels?: string | undefined;
  /** Whether the model may be unloaded and loaded again. */
  readonly mayUnload?: boolean | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: what a server answers is looked at by the cases, member by member
export type Answer = any;

export interface Response {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  /** Undefined when the body is not JSON. */
  readonly json: Answer;
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions?: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export interface InferOptions {
  readonly path?: string;
  readonly request?: Record<string, unknown>;
  /** Names of inputs that go in binary; all of them with `true`. */
  readonly binaryInputs?: boolean | readonly string[];
}

const HEADER_LENGTH = 'inference-header-content-length';

/** The server under test, by its REST door. */
export class Target {
  readonly options: TargetOptions;
  #metadata: Promise<ModelMetadata> | undefined;
  #extensions: Promise<string[]> | undefined;

  constructor(options: TargetOptions) {
    this.options = { ...options, url: options.url.replace(/\/+$/, '') };
  }

  get modelPath(): string {
    return `/v2/models/${encodeURIComponent(this.options.model)}`;
  }

  async call(method: string, path: string, body?: string | Uint8Array, headers = {}): Promise<Response> {
    const response = await fetch(`${this.options.url}${path}`, {
      method,
      headers: { ...this.options.headers, ...headers },
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    let json: Answer;
    try {
      json = JSON.parse(Buffer.from(bytes).toString('utf8'));
    } catch {
      json = undefined;
    }
    return { status: response.status, headers: response.headers, bytes, json };
  }

  get(path: string): Promise<Response> {
    return this.call('GET', path);
  }

  extensions(): Promise<string[]> {
    this.#extensions ??= this.get('/v2').then(({ json }) =>
      Array.isArray(json?.extensions) ? json.extensions : [],
    );
    return this.#extensions;
  }

  metadata(): Promise<ModelMetadata> {
    this.#metadata ??= this.get(this.modelPath).then(({ status, json }) => {
      check(
        status === 200 && Array.isArray(json?.inputs),
        `the metadata of ${this.options.model} answer ${status}`,
      );
      return json as ModelMetadata;
    });
    return this.#metadata;
  }

  /** A version that may be asked for, or `NotSupported`. */
  async version(): Promise<string> {
    const version = (await this.metadata()).versions?.[0];
    if (version === undefined) throw new NotSupported('the model has no versions to ask for');
    return version;
  }

  /** Tensors for each input of the model; `NotSupported` for several rows when it takes one. */
  async inputs(rows = 1, shift = 0): Promise<Tensor[]> {
    const { inputs } = await this.metadata();
    if (rows > 1 && !inputs.every(({ shape }) => shape[0] === -1))
      throw new NotSupported('the model takes no batches');
    return inputs.map((input) => {
      const values = this.options.inputs?.[input.name];
      const shifted = values && [
        ...values.slice(shift % values.length),
        ...values.slice(0, shift % values.length),
      ];
      return tensorFor(input, rows, shifted);
    });
  }

  /** Sends an inference; inputs in JSON are flat unless the request brings its own. */
  async infer(inputs: readonly Tensor[], options: InferOptions = {}): Promise<Response> {
    const { path = `${this.modelPath}/infer`, request, binaryInputs = false } = options;
    const parts: Uint8Array[] = [];
    const written = inputs.map(({ data, ...described }) => {
      const isBinary =
        typeof binaryInputs === 'boolean' ? binaryInputs : binaryInputs.includes(described.name);
      if (!isBinary) return { ...described, data };
      const part = toBytes({ datatype: described.datatype, data });
      parts.push(part);
      return { ...described, parameters: { binary_data_size: part.length } };
    });
    const json = Buffer.from(JSON.stringify({ inputs: written, ...request }));
    if (parts.length === 0) return this.call('POST', path, json, { 'content-type': 'application/json' });
    return this.call('POST', path, Buffer.concat([json, ...parts]), {
      'content-type': 'application/octet-stream',
      [HEADER_LENGTH]: String(json.length),
    });
  }
}

/** The outputs of an answer, in whatever form they came. @throws Error when the answer is none */
export function outputsOf({ status, headers, bytes, json }: Response): Tensor[] {
  const length = headers.get(HEADER_LENGTH);
  const head = length === null ? json : JSON.parse(Buffer.from(bytes.subarray(0, Number(length))).toString());
  check(status === 200, `the status is ${status}: ${Buffer.from(bytes.subarray(0, 300)).toString()}`);
  check(Array.isArray(head?.outputs), 'the answer has no list of outputs');
  let offset = Number(length ?? bytes.length);
  const outputs = head.outputs.map(({ name, datatype, shape, data, parameters }: Answer): Tensor => {
    check(
      typeof name === 'string' && typeof datatype === 'string' && Array.isArray(shape),
      'an output lacks a member',
    );
    const size = parameters?.binary_data_size;
    if (size === undefined) {
      check(Array.isArray(data), `the output ${name} has no data`);
      return { name, datatype, shape, data: data.flat(Number.POSITIVE_INFINITY) };
    }
    offset += size;
    return {
      name,
      datatype,
      shape,
      data: fromBytes(datatype, bytes.subarray(offset - size, offset), countOf(shape)),
    };
  });
  check(offset === bytes.length, `${bytes.length - offset} bytes of the answer belong to no output`);
  return outputs;
}
