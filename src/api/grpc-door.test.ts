import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ByteStrings } from '../serving/tensors/byte-strings.ts';
import { DATATYPES, newData } from '../serving/tensors/tensor.ts';
import { type GrpcAnswer, keyOf, openGrpcUnderTest } from './grpc-door-under-test.ts';

describe('the gRPC door', () => {
  let door: Awaited<ReturnType<typeof openGrpcUnderTest>>;
  beforeAll(async () => {
    door = await openGrpcUnderTest();
  });
  afterAll(() => door.close());

  const call: typeof door.call = (...given) => door.call(...given);
  const infer = (request: object, metadata?: Metadata, options?: object) =>
    call('ModelInfer', request, metadata, options);
  const fp32 = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
  const input = (datatype: string, shape: number[], more: object = {}) => ({
    name: 'x',
    datatype,
    shape,
    ...more,
  });

  it.each(DATATYPES)('runs %s in raw contents, there and back', async (datatype) => {
    const raw =
      datatype === 'BYTES'
        ? ByteStrings.from(['a', 'é', new Uint8Array([255]), '']).bytes
        : new Uint8Array(newData(datatype, 4).buffer).map((_, i) => (datatype === 'BOOL' ? i % 2 : i % 3));
    const answer = await infer({
      model_name: `echo-${datatype.toLowerCase()}`,
      id: 'one',
      inputs: [input(datatype, [2, 2])],
      raw_input_contents: [raw],
    });
    expect(answer).toMatchObject({
      model_name: `echo-${datatype.toLowerCase()}`,
      model_version: '3',
      id: 'one',
    });
    expect(answer.outputs).toMatchObject([{ name: 'y', datatype }]);
    expect(answer.outputs[0]!.shape.map(Number)).toEqual([2, 2]);
    expect(Buffer.from(answer.raw_output_contents[0]!).equals(Buffer.from(raw))).toBe(true);
  });

  it.each([
    ['BOOL', { bool_contents: [true, false] }, [1, 0]],
    ['INT8', { int_contents: [-128, 127] }, [128, 127]],
    ['UINT16', { uint_contents: [65_535, 1] }, [255, 255, 1, 0]],
    ['INT64', { int64_contents: ['-9223372036854775808', -1].map(String) }, undefined],
    ['UINT64', { uint64_contents: ['18446744073709551615', '1'] }, undefined],
    ['FP32', { fp32_contents: [0.1, Number.NaN] }, undefined],
    ['FP64', { fp64_contents: [0.1, -1] }, undefined],
    ['BYTES', { bytes_contents: [Buffer.from('ab'), Buffer.from('')] }, [2, 0, 0, 0, 97, 98, 0, 0, 0, 0]],
  ])('takes %s in typed contents', async (datatype, contents, expected) => {
    const [values] = Object.values(contents) as [unknown[]];
    const wide: Record<string, Uint8Array> = {
      INT64: new Uint8Array(BigInt64Array.of(-(2n ** 63n), -1n).buffer),
      UINT64: new Uint8Array(BigUint64Array.of(2n ** 64n - 1n, 1n).buffer),
      FP32: new Uint8Array(Float32Array.from(values as number[]).buffer),
      FP64: new Uint8Array(Float64Array.from(values as number[]).buffer),
    };
    const { Type } = await longs(contents);
    const answer = await infer({
      model_name: `echo-${datatype.toLowerCase()}`,
      inputs: [input(datatype, [1, 2], { contents: Type })],
    });
    expect([...answer.raw_output_contents[0]!]).toEqual(expected ?? [...wide[datatype]!]);
  });

  const x = [input('FP32', [1, 2])];
  const good = { model_name: 'echo-fp32', inputs: x, raw_input_contents: [fp32(1, 2)] };
  it.each([
    ['an unknown model', { ...good, model_name: 'none' }, status.NOT_FOUND, 'models.unknown_model'],
    ['an unknown version', { ...good, model_version: '9' }, status.NOT_FOUND, 'models.unknown_version'],
    [
      'raw contents that are too short',
      { ...good, raw_input_contents: [fp32(1)] },
      status.INVALID_ARGUMENT,
      'serving.tensor_bytes',
    ],
    [
      'raw contents for another number of inputs',
      { ...good, raw_input_contents: [fp32(1, 2), fp32(1)] },
      status.INVALID_ARGUMENT,
      'request.invalid',
    ],
    ['no contents', { ...good, raw_input_contents: [] }, status.INVALID_ARGUMENT, 'serving.tensor_shape'],
    [
      'an unknown datatype',
      { ...good, inputs: [input('FP8', [1, 2])] },
      status.INVALID_ARGUMENT,
      'serving.tensor_type',
    ],
    [
      'another datatype',
      { ...good, inputs: [input('INT32', [1, 2])] },
      status.INVALID_ARGUMENT,
      'serving.tensor_type',
    ],
    [
      'a shape below 0',
      { ...good, inputs: [input('FP32', [-1, 2])] },
      status.INVALID_ARGUMENT,
      'serving.tensor_shape',
    ],
    [
      'a huge shape',
      { ...good, inputs: [input('FP32', [2 ** 31, 2 ** 12])] },
      status.INVALID_ARGUMENT,
      'serving.tensor_bytes',
    ],
    [
      'an unknown input',
      { ...good, inputs: [{ ...x[0], name: 'z' }] },
      status.INVALID_ARGUMENT,
      'serving.unknown_input',
    ],
    [
      'an unknown output',
      { ...good, outputs: [{ name: 'z' }] },
      status.INVALID_ARGUMENT,
      'serving.unknown_output',
    ],
    [
      'an output asked for twice',
      { ...good, outputs: [{ name: 'y' }, { name: 'y' }] },
      status.INVALID_ARGUMENT,
      'request.invalid',
    ],
    [
      'an integer out of range',
      { model_name: 'echo-int8', inputs: [input('INT8', [1, 2], { contents: { int_contents: [128, 0] } })] },
      status.INVALID_ARGUMENT,
      'serving.tensor_value',
    ],
    [
      'values that the model refuses',
      { ...good, model_name: 'failing', raw_input_contents: [fp32(13, 0)] },
      status.INVALID_ARGUMENT,
      'serving.model_failed',
    ],
  ])('refuses %s with status and code', async (_, request, code, aiosCode) => {
    const error: ServiceError = await infer(request).then(
      () => expect.unreachable(),
      (thrown) => thrown,
    );
    expect(error.code).toBe(code);
    expect(error.details).toMatch(new RegExp(`^${aiosCode}: `));
    expect(error.metadata.get('aios-code')).toEqual([aiosCode]);
  });

  it('lets in who may: by key, known at once or looked up', async () => {
    expect((await infer(good, keyOf('later'))).model_name).toBe('echo-fp32');
    for (const [metadata, code] of [
      [new Metadata(), status.UNAUTHENTICATED],
      [keyOf('bad'), status.UNAUTHENTICATED],
      [keyOf('weak'), status.PERMISSION_DENIED],
    ] as const)
      await expect(infer(good, metadata)).rejects.toMatchObject({ code });
    await expect(call('ModelMetadata', { name: 'echo-fp32' }, keyOf('weak'))).rejects.toMatchObject({
      code: status.PERMISSION_DENIED,
    });
    expect(await call('ServerLive', {}, new Metadata())).toMatchObject({ live: true });
  });

  it('refuses a message over the limit and lives on', async () => {
    const raw = Buffer.alloc(2_000_000);
    await expect(
      infer({ ...good, inputs: [input('FP32', [250_000, 2])], raw_input_contents: [raw] }),
    ).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect((await infer(good)).model_name).toBe('echo-fp32');
  });

  it('takes the deadline and the end of a call to the queue', async () => {
    const hanging = { ...good, model_name: 'never' };
    const before = door.serving.statistics()['never/3']?.errors ?? 0;
    await expect(infer(hanging, keyOf(), { deadline: Date.now() + 1_000 })).rejects.toMatchObject({
      code: status.DEADLINE_EXCEEDED,
    });
    const reached = () => door.serving.statistics()['never/3']!.requests;
    const had = reached();
    const canceled = Promise.withResolvers<unknown>();
    const running = door.start('ModelInfer', hanging, canceled.resolve);
    await expect.poll(reached).toBe(had + 1);
    running.cancel();
    expect(await canceled.promise).toMatchObject({ code: status.CANCELLED });
    await expect.poll(() => door.serving.statistics()['never/3']?.errors).toBeGreaterThanOrEqual(before + 2); // both left the queue, whatever became of their callers
    await expect(
      infer({ ...hanging, parameters: { timeout: { int64_param: 50_000 } } }),
    ).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED, details: /^serving\.timeout/ });
  });

  it('cancels nothing of a call that has its answer', async () => {
    const spy = vi.spyOn(door.serving, 'infer');
    await infer(good);
    await infer(good); // by then the first has ended, on both sides
    expect(spy.mock.calls[0]![0]).toMatchObject({ model: 'echo-fp32', caller: { kind: 'key', id: 'k' } });
    expect(spy.mock.calls[0]![0].signal?.aborted).toBe(false);
    spy.mockRestore();
  });

  it('answers the requests of a stream in their order; one that fails does not end it', async () => {
    const stream = door.stream(keyOf());
    const answers: GrpcAnswer[] = [];
    const ended = new Promise((done, fail) => {
      stream.on('data', (message: GrpcAnswer) => answers.push(message));
      stream.on('end', done);
      stream.on('error', fail);
    });
    for (let i = 0; i < 200; i++)
      stream.write({
        ...good,
        id: `r${i}`,
        model_name: i === 7 ? 'none' : i % 2 ? 'echo-fp32' : 'failing',
        raw_input_contents: [fp32(i + 100, 0)],
        parameters: { triton_enable_empty_final_response: { bool_param: true } },
      });
    stream.end();
    await ended;
    expect(answers.map(({ infer_response: { id } }) => id)).toEqual(
      Array.from({ length: 200 }, (_, i) => `r${i}`),
    );
    expect(answers[7]).toMatchObject({ error_message: expect.stringMatching(/^models\.unknown_model/) });
    expect(answers[8]).toMatchObject({
      error_message: '',
      infer_response: { parameters: { triton_final_response: { bool_param: true } } },
    });
    expect(Buffer.from(answers[8]!.infer_response.raw_output_contents[0]!)).toEqual(fp32(108, 0));
  });

  it('refuses a stream without a key', async () => {
    const stream = door.stream(new Metadata());
    await expect(new Promise((_, fail) => stream.on('error', fail).resume())).rejects.toMatchObject({
      code: status.UNAUTHENTICATED,
    });
  });

  it('tells of server and models', async () => {
    expect(await call('ServerMetadata', {})).toMatchObject({ name: 'aios', version: '1.2.3' });
    expect(await call('ServerReady', {})).toMatchObject({ ready: true });
    expect(await call('ModelReady', { name: 'echo-fp32' })).toMatchObject({ ready: true });
    const metadata = await call('ModelMetadata', { name: 'echo-fp32', version: '3' });
    expect(metadata).toMatchObject({
      name: 'echo-fp32',
      versions: ['3'],
      inputs: [{ name: 'x', datatype: 'FP32' }],
    });
    expect(metadata.inputs[0]!.shape.map(Number)).toEqual([-1, 2]);
    const { config } = await call('ModelConfig', { name: 'echo-fp32' });
    expect(config).toMatchObject({ max_batch_size: 64, input: [{ name: 'x', data_type: 11 }] });
    expect(config.input[0]!.dims.map(Number)).toEqual([2]);
    await infer(good);
    const { model_stats } = await call('ModelStatistics', { name: 'echo-fp32' });
    expect(model_stats).toMatchObject([{ name: 'echo-fp32', version: '3' }]);
    expect(Number(model_stats[0]!.inference_stats.success.count)).toBeGreaterThan(0);
    await call('RepositoryModelLoad', { model_name: 'echo-int32' });
    await call('RepositoryModelUnload', { model_name: 'echo-int32' });
    await call('RepositoryModelLoad', { model_name: 'echo-int32' });
    const { models } = await call('RepositoryIndex', { ready: true });
    expect(models).toContainEqual(
      expect.objectContaining({ name: 'echo-int32', version: '3', state: 'READY' }),
    );
  });

  it('tells its health, and each change of it to who watches', async () => {
    const check = (service: string) => call('Check', { service }, new Metadata());
    expect(await check('')).toMatchObject({ status: 1 });
    expect(await check('inference.GRPCInferenceService')).toMatchObject({ status: 1 });
    await expect(check('other')).rejects.toMatchObject({ code: status.NOT_FOUND });
    expect(await call('List', {}, new Metadata())).toMatchObject({
      statuses: { '': { status: 1 }, 'inference.GRPCInferenceService': { status: 1 } },
    });
    const told: number[] = [];
    const watch = door.watch('');
    watch.on('data', ({ status: at }: GrpcAnswer) => told.push(at)).on('error', () => {});
    const other = door.watch('other');
    const unknown: number[] = [];
    other.on('data', ({ status: at }: GrpcAnswer) => unknown.push(at)).on('error', () => {});
    await expect.poll(() => told.length + unknown.length).toBe(2);
    const third = door.watch('');
    await expect(new Promise((_, fail) => third.on('error', fail).resume())).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    door.state.isReady = false;
    await expect.poll(() => told).toEqual([1, 2]);
    door.state.isReady = true;
    await expect.poll(() => told).toEqual([1, 2, 1]);
    expect(unknown).toEqual([3]);
    watch.cancel();
    other.cancel();
  });
});

/** 64-bit integers as protobufjs writes them. */
async function longs(contents: Record<string, unknown[]>): Promise<{ Type: object }> {
  const { default: protobuf } = await import('protobufjs');
  const Long = protobuf.util.Long as unknown as { fromString(text: string, unsigned: boolean): object };
  const Type = Object.fromEntries(
    Object.entries(contents).map(([member, values]) => [
      member,
      member.includes('64_') && member.includes('int')
        ? values.map((value) => Long.fromString(String(value), member.startsWith('u')))
        : values,
    ]),
  );
  return { Type };
}
