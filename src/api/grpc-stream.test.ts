import { connect } from 'node:http2';
import { type ClientDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { loadGrpcServices } from '../serving/protocol/grpc-services.ts';
import { type GrpcAnswer, keyOf, openGrpcUnderTest } from './grpc-door-under-test.ts';

let door: Awaited<ReturnType<typeof openGrpcUnderTest>>;
beforeAll(async () => {
  door = await openGrpcUnderTest();
});
afterAll(() => door.close());

const request = (id: string) => ({
  id,
  model_name: 'echo-fp32',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
  raw_input_contents: [Buffer.alloc(8)],
});
/** What a stream answers, and the error that it ends with. */
function read(stream: ClientDuplexStream<object, GrpcAnswer>) {
  const answers: GrpcAnswer[] = [];
  stream.on('data', (message: GrpcAnswer) => answers.push(message));
  const ended = new Promise<ServiceError | undefined>((done) => {
    stream.on('error', done);
    stream.on('end', () => done(undefined));
  });
  return { answers, ended };
}

/** As messages go over the wire: a byte for the compression, four for the length. */
function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function messagesIn(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    messages.push(bytes.subarray(at + 5, end));
    at = end;
  }
  return messages;
}

it('ends an open stream with the next request of a key that was revoked', async () => {
  const stream = door.stream(keyOf('fleeting'));
  const { answers, ended } = read(stream);
  stream.write(request('before'));
  await expect.poll(() => answers.length, { timeout: 15_000 }).toBe(1);
  const infer = vi.spyOn(door.serving, 'infer');
  door.state.isRevoked = true;
  stream.write(request('after'));
  const error = await ended;
  door.state.isRevoked = false;
  expect(error).toMatchObject({ code: status.UNAUTHENTICATED });
  expect(error?.metadata.get('aios-code')).toEqual(['access.unauthenticated']);
  expect(answers).toHaveLength(1);
  expect(infer).not.toHaveBeenCalled();
  infer.mockRestore();
});

it('tells with each answer what is left, and of a fault its code and when to ask again', async () => {
  const stream = door.stream(keyOf());
  const { answers, ended } = read(stream);
  const limited = { ...request('limited'), model_name: 'limited-stream' };
  stream.write({ ...limited, inputs: [], raw_input_contents: [] }); // counted, and then refused
  stream.write(limited);
  stream.write(limited);
  stream.write(request('free'));
  stream.end();
  expect(await ended).toBeUndefined();
  const told = answers.map(({ infer_response: { parameters } }) =>
    Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, value.string_param])),
  );
  const policy = '"requests";q=2;w=200';
  const left = (r: number, t: number) => ({
    ratelimit: `"requests";r=${r};t=${t}`,
    'ratelimit-policy': policy,
  });
  expect(told).toEqual([
    { ...left(1, 100), 'aios-code': 'serving.missing_input' },
    left(0, 200),
    {
      ...left(0, 200),
      'aios-code': 'serving.rate_limited',
      'retry-after': '100',
      'grpc-retry-pushback-ms': expect.stringMatching(/^9\d{4}$|^100000$/),
    },
    {},
  ]);
});

it('answers by a key that is looked up anew with each request', async () => {
  const stream = door.stream(keyOf('later'));
  const { answers, ended } = read(stream);
  for (let i = 0; i < 5; i++) stream.write(request(`r${i}`));
  stream.end();
  expect(await ended).toBeUndefined();
  expect(answers.map(({ infer_response: { id } }) => id)).toEqual(['r0', 'r1', 'r2', 'r3', 'r4']);
});

it('reads no more requests of a client that takes no answers, and goes on when it does', async () => {
  const infer = vi.spyOn(door.serving, 'infer');
  const reached = () => infer.mock.calls.filter(([{ model }]) => model === 'echo-fp32').length;
  const count = 2_000;
  const padding = 'x'.repeat(20_000); // 40 MB of answers
  // grpc-js reads ahead; this client takes not one byte of an answer.
  const session = connect(`http://127.0.0.1:${door.door.port}`, {
    maxSessionMemory: 1_000,
    settings: { initialWindowSize: 0 },
  });
  const stream = session.request({
    ':method': 'POST',
    ':path': '/inference.GRPCInferenceService/ModelStreamInfer',
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization: 'Bearer good',
  });
  const { inference } = await loadGrpcServices();
  const { requestSerialize, responseDeserialize } = inference.ModelStreamInfer!;
  for (let i = 0; i < count; i++) stream.write(framed(requestSerialize(request(`${i}-${padding}`))));
  stream.end();
  // Other calls are answered meanwhile; a round of them without a request of the stream says that it stands still.
  const beside = { ...request('beside'), model_name: 'failing' };
  let last = 0;
  while (last === 0 || reached() > last) {
    last = reached();
    for (let i = 0; i < 40; i++) await door.call('ModelInfer', beside);
  }
  expect(last).toBeLessThan(300); // 64 under way, and what the library and the windows hold
  session.settings({ initialWindowSize: 1024 * 1024 });
  const parts: Buffer[] = await stream.toArray();
  const ids = messagesIn(Buffer.concat(parts)).map((bytes) => {
    const { infer_response } = responseDeserialize(bytes) as GrpcAnswer;
    return Number.parseInt(infer_response.id, 10);
  });
  expect(ids).toEqual(Array.from({ length: count }, (_, i) => i));
  session.close();
  infer.mockRestore();
}, 60_000);

it('opens as many streams as its limit says, and another when one has ended', async () => {
  const open = [1, 2, 3].map(() => door.stream(keyOf()));
  const reads = open.map(read);
  for (const stream of open) stream.write(request('a'));
  await expect.poll(() => reads.map(({ answers }) => answers.length), { timeout: 15_000 }).toEqual([1, 1, 1]);
  const error = await read(door.stream(keyOf())).ended;
  expect(error).toMatchObject({
    code: status.RESOURCE_EXHAUSTED,
    details: expect.stringMatching(/^request\.overloaded: 3 streams/),
  });
  open[0]!.end();
  open[1]!.cancel();
  await Promise.all(reads.slice(0, 2).map(({ ended }) => ended));
  await vi.waitFor(
    async () => {
      const again = door.stream(keyOf());
      again.end();
      expect(await read(again).ended).toBeUndefined();
    },
    { timeout: 15_000 },
  );
  open[2]!.end();
  await reads[2]!.ended;
});
