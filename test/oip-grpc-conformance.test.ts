import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { openInferenceUnderTest } from '../src/api/inference-under-test.ts';
import { type GrpcService, loadGrpcServices } from '../src/serving/protocol/grpc-services.ts';
import { type Datatype, dataOfBytes, elementBytes, newData } from '../src/serving/tensors/tensor.ts';

/** Elements by the name of their type: `{ FP32: [1, 2] }`. */
type Elements = Readonly<Record<string, readonly number[]>>;

/** A case of `conformance/oip/grpc.yaml`; the README there says what each member means. */
interface Case {
  readonly name: string;
  readonly call?: string;
  readonly with?: { readonly raw_input_contents?: readonly Elements[] };
  readonly identity?: {
    readonly datatype: Exclude<Datatype, 'BYTES'> | 'BYTES';
    readonly input?: string;
    readonly contents?: object;
    readonly raw?: Elements;
    readonly data?: readonly number[];
  };
  readonly answer?: object;
  readonly status?: readonly (keyof typeof status)[];
}
interface Output {
  readonly datatype: Datatype;
  readonly contents?: Readonly<Record<string, readonly unknown[]>> | null;
}
interface Answer {
  readonly outputs?: readonly Output[];
  readonly raw_output_contents?: readonly Uint8Array[];
}

const FILE = join(import.meta.dirname, '..', 'conformance', 'oip', 'grpc.yaml');
const { cases } = parse(readFileSync(FILE, 'utf8')) as { cases: Case[] };
const elsewhere = process.env.OIP_GRPC;

describe(`the Open Inference Protocol over gRPC, at ${elsewhere ?? 'our own door'}`, () => {
  let close = async (): Promise<void> => {};
  let client: Client;
  let services: GrpcService;
  const metadata = new Metadata();
  beforeAll(async () => {
    const { inference, health } = await loadGrpcServices();
    services = { ...inference, ...health };
    const door = elsewhere === undefined ? await openInferenceUnderTest() : undefined;
    if (door) {
      close = () => door.close();
      await door.serving.load('add-sub');
    }
    const key = process.env.OIP_KEY ?? (door ? 'all' : undefined);
    if (key !== undefined) metadata.set('authorization', `Bearer ${key}`);
    client = new Client(elsewhere ?? door!.grpcHost, credentials.createInsecure());
  });
  afterAll(() => {
    client.close();
    return close();
  });

  const call = (name: string, message: object): Promise<Answer> =>
    new Promise((done, fail) => {
      const { path, requestSerialize, responseDeserialize } = services[name]!;
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        message,
        metadata,
        { deadline: Date.now() + 30_000 },
        (error, answer) => (error ? fail(error) : done(answer as Answer)),
      );
    });

  it.each(cases.map((each) => [each.name, each] as const))('%s', async (_, each) => {
    const { name, message, answer } = asked(each);
    const outcome = await call(name, message).catch((error: ServiceError) => error);
    if (outcome instanceof Error) {
      if (!each.status) throw outcome;
      return expect(each.status).toContain(status[outcome.code]);
    }
    if (!answer) expect.unreachable(`it was answered, where ${each.status?.join(' or ')} was expected`);
    expect(read(outcome)).toMatchObject(answer);
  });
});

/** What a case calls, with which message, and what of the answer it is held to. */
function asked({ call = 'ModelInfer', with: given = {}, identity, answer }: Case) {
  if (!identity) {
    const raw = given.raw_input_contents?.map(bytesOf);
    return { name: call, message: { ...given, ...(raw && { raw_input_contents: raw }) }, answer };
  }
  const { datatype, input = 'INPUT0', contents, raw, data } = identity;
  return {
    name: call,
    message: {
      model_name: `identity-${datatype.toLowerCase()}`,
      inputs: [{ name: input, datatype, shape: [1, 2], ...(contents && { contents }) }],
      ...(raw && { raw_input_contents: [bytesOf(raw)] }),
    },
    answer: data && { outputs: [{ name: 'OUTPUT0', datatype, shape: [1, 2], data }] },
  };
}

function bytesOf(elements: Elements): Uint8Array {
  const [[datatype, values]] = Object.entries(elements) as [[Exclude<Datatype, 'BYTES'>, number[]]];
  const data = newData(datatype, values.length);
  for (const [i, value] of values.entries()) data[i] = value;
  return new Uint8Array(data.buffer);
}

/** An answer with plain numbers, and each output's elements as `data`, wherever the server put them; BYTES as they travel. */
function read(answer: Answer): object {
  const { outputs, raw_output_contents: raw = [], ...rest } = answer;
  const message = plain(rest) as object;
  if (!outputs) return message;
  return {
    ...message,
    outputs: outputs.map((output, index) => ({
      ...(plain(output) as object),
      data: elementsOf(output, raw[index]),
    })),
  };
}

/** 64-bit integers as numbers, all the way down. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value;
  if ('toNumber' in value) return Number(value);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

function elementsOf({ datatype, contents }: Output, raw: Uint8Array | undefined): number[] {
  const typed = Object.values(contents ?? {}).find((list) => list.length > 0);
  if (!raw) return (typed ?? []).map(Number);
  if (datatype === 'BYTES') return [...raw];
  const data = dataOfBytes(datatype, new Uint8Array(raw), raw.length / elementBytes(datatype), 'an output');
  return [...(data as Iterable<number | bigint>)].map(Number);
}
