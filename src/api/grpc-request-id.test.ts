import type { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyOf, openGrpcUnderTest } from './grpc-door-under-test.ts';

const OURS = /^req_[0-9a-z]{32}$/;
const inferOf = (model_name: string, more: object = {}) => ({
  model_name,
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
  raw_input_contents: [Buffer.from(Float32Array.from([1, 2]).buffer)],
  ...more,
});

const LATE = { parameters: { timeout: { int64_param: 20_000 } } };
const COMPRESSED = { isCompressed: true };

describe('what is told of a call by gRPC beside its answer', () => {
  let door: Awaited<ReturnType<typeof openGrpcUnderTest>>;
  beforeAll(async () => {
    door = await openGrpcUnderTest();
  });
  afterAll(() => door.close());

  const withId = (id: string, key?: string) => {
    const metadata = keyOf(key);
    metadata.set('x-request-id', id);
    return metadata;
  };
  const ways: [string, string, object, { isCompressed?: boolean }][] = [
    ['past grpc-js', 'ModelInfer', inferOf('echo-fp32'), {}],
    ['through it', 'ModelInfer', inferOf('echo-fp32'), COMPRESSED],
    ['of another method', 'ModelMetadata', { name: 'echo-fp32' }, {}],
    ['that is open to all', 'ServerLive', {}, {}],
    ['of the health service', 'Check', {}, {}],
  ];
  it.each(ways)('is the id of its caller: a call %s', async (_, name, request, options) => {
    const { initial } = await door.told(name, request, withId('gateway-7'), options);
    expect(initial['x-request-id']).toBe('gateway-7');
  });

  it.each(ways)(
    'is an id that is made where none can be taken: a call %s',
    async (_, name, request, options) => {
      const twice = withId('one');
      twice.add('x-request-id', 'two');
      for (const metadata of [keyOf(), withId('a b'), withId('x'.repeat(200)), twice]) {
        const { initial } = await door.told(name, request, metadata, options);
        expect(initial['x-request-id']).toMatch(OURS);
      }
    },
  );

  it.each<[string, string, object, string, { isCompressed?: boolean }]>([
    ['a model that there is not', 'ModelInfer', inferOf('nobody'), 'good', {}],
    ['a key that is not valid', 'ModelInfer', inferOf('echo-fp32'), 'bad', {}],
    ['a key that is not valid, of another method', 'ModelMetadata', { name: 'x' }, 'bad', {}],
    ['metadata of a model that there is not', 'ModelMetadata', { name: 'nobody' }, 'good', {}],
    ['a deadline', 'ModelInfer', inferOf('never', LATE), 'good', {}],
    ['a deadline, through grpc-js', 'ModelInfer', inferOf('never', LATE), 'good', COMPRESSED],
  ])('is the id with the error of %s', async (_, name, request, key, options) => {
    const { trailing } = await door.told(name, request, withId('mine', key), options);
    expect(trailing['x-request-id']).toBe('mine');
  });

  it('is the id in the log of faults', async () => {
    await door.told('ModelInfer', inferOf('never', LATE), withId('late'));
    expect(door.faultIds.at(-1)).toBe('late');
  });

  it('is the id of a stream, before its first answer and with its end', async () => {
    const stream = door.stream(withId('stream-1', 'fleeting'));
    stream.on('error', () => {});
    const initial = new Promise<Metadata>((done) => stream.once('metadata', done));
    expect((await initial).getMap()['x-request-id']).toBe('stream-1');
    door.state.isRevoked = true;
    const ended = new Promise<{ metadata: Metadata }>((done) => stream.once('status', done));
    stream.write(inferOf('echo-fp32'));
    expect((await ended).metadata.getMap()['x-request-id']).toBe('stream-1');
  });

  it.each([
    ['past grpc-js', 'limited', {}],
    ['through it', 'limited-too', COMPRESSED],
  ])(
    'is what is left of a rate limit, of calls that fail too, and when to come again: %s',
    async (_, model, options) => {
      const ask = (more: object = {}) => door.told('ModelInfer', inferOf(model, more), keyOf(), options);
      const answered = await ask();
      const failed = await ask({ inputs: [], raw_input_contents: [] });
      const refused = await ask();
      const policy = '"requests";q=2;w=200';
      expect(answered.initial).toMatchObject({
        ratelimit: '"requests";r=1;t=100',
        'ratelimit-policy': policy,
      });
      expect(failed.trailing).toMatchObject({
        ratelimit: '"requests";r=0;t=200',
        'ratelimit-policy': policy,
      });
      expect(failed.trailing['retry-after']).toBeUndefined();
      expect(refused.trailing).toMatchObject({
        ratelimit: '"requests";r=0;t=200',
        'retry-after': '100',
        'grpc-retry-pushback-ms': expect.stringMatching(/^\d+$/),
      });
    },
  );
});
