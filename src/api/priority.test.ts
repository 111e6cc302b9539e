import { afterAll, beforeAll, expect, it } from 'vitest';
import { inferFromGrpc } from '../serving/protocol/grpc-infer.ts';
import { type InferUnderTest, openInferUnderTest } from './infer-under-test.ts';

let door: InferUnderTest;
beforeAll(async () => {
  door = await openInferUnderTest();
});
afterAll(() => door.close());

const inputs = [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }];
const headers = { authorization: 'Bearer may' };
const url = '/v2/models/double/infer';

it.each([
  [
    'the lean path',
    (body: string) => fetch(`http://127.0.0.1:${door.port}${url}`, { method: 'POST', headers, body }),
  ],
  ['the route', (payload: string) => door.server.inject({ method: 'POST', url, headers, payload })],
])('the parameter priority goes to the model’s queue by %s', async (_way, ask) => {
  door.calls.length = 0;
  for (const parameters of [{ priority: 1 }, { priority: 0 }, {}])
    await ask(JSON.stringify({ inputs, parameters }));
  expect(door.calls.map(({ priority }) => priority)).toEqual([1, undefined, undefined]);
});

it('the parameter priority is read from a message of gRPC', () => {
  const none = {
    model_name: 'm',
    model_version: '',
    id: '',
    inputs: [],
    outputs: [],
    raw_input_contents: [],
  };
  expect(
    inferFromGrpc({ ...none, parameters: { priority: { int64_param: 2, parameter_choice: 'int64_param' } } })
      .priority,
  ).toBe(2);
  expect(inferFromGrpc({ ...none, parameters: {} }).priority).toBeUndefined();
});
