import { type ClientDuplexStream, credentials, makeClientConstructor, status } from '@grpc/grpc-js';
import descriptors, { type IDescriptorProto } from 'protobufjs/ext/descriptor/index.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadGrpcServices } from '../serving/protocol/grpc-services.ts';
import { type InferenceUnderTest, openInferenceUnderTest } from './inference-under-test.ts';

interface Answer {
  readonly file_descriptor_response?: { readonly file_descriptor_proto: readonly Uint8Array[] };
  readonly list_services_response?: { readonly service: readonly { readonly name: string }[] };
  readonly error_response?: { readonly error_code: number; readonly error_message: string };
}
type Stream = ClientDuplexStream<object, Answer>;

let door: InferenceUnderTest;
beforeAll(async () => {
  door = await openInferenceUnderTest('streamsMax=2');
});
afterAll(() => door.close());

/** A stream of the service of that version. */
async function open(at: 0 | 1): Promise<Stream> {
  const service = (await loadGrpcServices()).reflection[at]!;
  const Client = makeClientConstructor(service as never, 'reflection');
  const client = new Client(door.grpcHost, credentials.createInsecure());
  const stream = (client as unknown as { ServerReflectionInfo(): Stream }).ServerReflectionInfo();
  stream.on('status', () => client.close());
  return stream;
}

/** What the questions are answered with, in their order. */
async function ask(at: 0 | 1, ...questions: readonly object[]): Promise<Answer[]> {
  const stream = await open(at);
  for (const question of questions) stream.write(question);
  stream.end();
  return stream.toArray() as Promise<Answer[]>;
}

function fileOf(answer: Answer | undefined) {
  const [bytes] = answer?.file_descriptor_response?.file_descriptor_proto ?? [];
  return descriptors.FileDescriptorProto.decode(bytes!) as unknown as {
    name: string;
    package: string;
    syntax: string;
    messageType: IDescriptorProto[];
    service: { name: string; method: { name: string; serverStreaming: boolean }[] }[];
  };
}

describe('the reflection of the gRPC door', () => {
  it.each([0, 1] as const)(
    'names its services and describes them, whichever version is asked (%i)',
    async (at) => {
      const symbols = ['', '.ModelInfer'].map((method) => `inference.GRPCInferenceService${method}`);
      const [listed, ...found] = await ask(
        at,
        { list_services: '' },
        ...[...symbols, 'inference.ModelInferRequest.InferInputTensor', 'inference.DataType'].map(
          (symbol) => ({
            file_containing_symbol: symbol,
          }),
        ),
        { file_by_filename: 'inference.proto' },
      );
      expect(listed?.list_services_response?.service).toContainEqual({
        name: 'inference.GRPCInferenceService',
      });
      for (const answer of found) {
        const file = fileOf(answer);
        expect(file).toMatchObject({ name: 'inference.proto', package: 'inference', syntax: 'proto3' });
        expect(file.service[0]!.method).toContainEqual(
          expect.objectContaining({ name: 'ModelStreamInfer', serverStreaming: true }),
        );
      }
      expect(found).toHaveLength(5);
    },
  );

  it('names the entries of maps as strict readers want them', async () => {
    const [answer] = await ask(0, { file_containing_symbol: 'inference.ModelInferRequest' });
    const message = fileOf(answer).messageType.find(({ name }) => name === 'ModelInferRequest')!;
    expect(message.field).toContainEqual(
      expect.objectContaining({ name: 'parameters', typeName: 'ParametersEntry' }),
    );
    expect(message.nestedType?.filter(({ options }) => options?.mapEntry).map(({ name }) => name)).toEqual([
      'ParametersEntry',
    ]);
  });

  it.each([
    ['a symbol', { file_containing_symbol: 'inference.Nothing' }, status.NOT_FOUND, '“inference.Nothing”'],
    ['a file', { file_by_filename: '../server.key' }, status.NOT_FOUND, '“../server.key”'],
    ['an extension', { all_extension_numbers_of_type: 'x' }, status.UNIMPLEMENTED, 'no extensions'],
    ['nothing', {}, status.UNIMPLEMENTED, 'no extensions'],
  ])('says so of %s that is not there, and goes on', async (_, question, code, message) => {
    const [missing, after] = await ask(0, question, { list_services: '' });
    expect(missing?.error_response).toMatchObject({ error_code: code });
    expect(missing?.error_response?.error_message).toContain(message);
    expect(after?.list_services_response).toBeDefined();
  });

  it('opens as many streams as its limit says, and another when one has ended', async () => {
    const held = [await open(0), await open(1)];
    for (const stream of held) {
      stream.write({ list_services: '' });
      await new Promise((resolve) => stream.once('data', resolve));
    }
    await expect(ask(0, { list_services: '' })).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    for (const stream of held) {
      stream.end();
      await new Promise((resolve) => stream.on('end', resolve).resume());
    }
    const again = async () => (await ask(0, { list_services: '' }))[0]?.list_services_response?.service;
    await expect.poll(() => again().catch(() => undefined), { timeout: 15_000 }).toHaveLength(4);
  });
});
