import { Metadata } from '@grpc/grpc-js';
import { afterAll, describe, expect, it } from 'vitest';
import { inferToGrpc } from '../serving/protocol/grpc-infer.ts';
import { readInference, writeInference } from '../serving/protocol/infer-http.ts';
import { rows, servingUnderTest } from '../serving/traffic/traffic-under-test.ts';
import { headOf } from './grpc-head.ts';
import { GrpcInference } from './grpc-inference.ts';
import type { Caller } from './routes.ts';

const { serving } = servingUnderTest({
  'ill/3': {
    run: () => new Promise<never>(() => {}),
    options: { timeoutMs: 15, fallback: [{ default: { outputs: { sum: [7] } } }] },
  },
  'limited/1': { options: { rateLimit: { perSecond: 0.001, burst: 1 } } },
});
afterAll(() => serving.close());

const DEGRADED = {
  degraded: true,
  degraded_by: 'default',
  degraded_reason: 'serving.timeout',
  degraded_from: 'ill/3',
};

describe('a degraded answer', () => {
  it('says so in the parameters of the Open Inference Protocol over REST', async () => {
    const body = JSON.stringify({
      inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 2], data: [2, 3] }],
    });
    const request = readInference(Buffer.from(body), undefined);
    const answer = await serving.infer({ model: 'ill', inputs: request.inputs });
    const { json } = writeInference(request, answer) as { json: string };
    expect(JSON.parse(json)).toMatchObject({ parameters: DEGRADED, outputs: [{ name: 'sum', data: [7] }] });
    const plain = writeInference(request, { ...answer, parameters: undefined }) as { json: string };
    expect(JSON.parse(plain.json)).not.toHaveProperty('parameters');
  });

  it('says so over gRPC, beside what else an answer tells', async () => {
    const answer = await serving.infer({ model: 'ill', inputs: rows([2, 3]) });
    const asked = { id: '', outputs: undefined, wantsFinal: true };
    expect(inferToGrpc(asked, answer).parameters).toEqual({
      degraded: { bool_param: true },
      degraded_by: { string_param: 'default' },
      degraded_reason: { string_param: 'serving.timeout' },
      degraded_from: { string_param: 'ill/3' },
      triton_final_response: { bool_param: true },
    });
    const own = { ...answer, parameters: undefined };
    expect(inferToGrpc({ ...asked, wantsFinal: false }, own)).not.toHaveProperty('parameters');
  });
});

it('the rate of a key is counted at the door of gRPC', async () => {
  const calls = { headOf: (metadata: Metadata) => headOf(metadata, 128) };
  const grpc = new GrpcInference(serving, calls as never, 1);
  const call = { getDeadline: () => Number.POSITIVE_INFINITY, on: () => {}, metadata: new Metadata() };
  const message = {
    model_name: 'limited',
    model_version: '',
    id: '',
    parameters: {},
    inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 2] }],
    outputs: [],
    raw_input_contents: [Buffer.from(Float32Array.of(2, 3).buffer)],
  };
  const ask = (id: string) =>
    grpc.infer(
      message as never,
      call as never,
      { id, kind: 'key', name: id, roles: [], groups: [] } as Caller,
    );
  expect((await ask('one')).model_version).toBe('1');
  await expect(ask('one')).rejects.toMatchObject({ code: 'serving.rate_limited' });
  expect((await ask('other')).model_version).toBe('1');
});
