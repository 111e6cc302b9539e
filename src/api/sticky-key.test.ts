import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inferFromGrpc } from '../serving/protocol/grpc-infer.ts';
import { type InferUnderTest, openInferUnderTest } from './infer-under-test.ts';

const inputs = [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }];
const authorization = 'Bearer may';

describe('the sticky key of an inference', () => {
  let door: InferUnderTest;
  beforeAll(async () => {
    door = await openInferUnderTest();
  });
  afterAll(() => door.close());

  const url = '/v2/models/double/infer';
  const ways = {
    'the lean path': (headers: Record<string, string>, body: object) =>
      fetch(`http://127.0.0.1:${door.port}${url}`, { method: 'POST', headers, body: JSON.stringify(body) }),
    'the route': (headers: Record<string, string>, body: object) =>
      door.server.inject({ method: 'POST', url, headers, payload: JSON.stringify(body) }),
  };

  it.each(Object.entries(ways))('is the parameter, else the header, on %s', async (_way, ask) => {
    door.calls.length = 0;
    const header = { authorization, 'aios-sticky-key': 'customer-1' };
    await ask(header, { inputs });
    await ask(header, { inputs, parameters: { sticky: 'customer-2' } });
    await ask({ authorization }, { inputs, parameters: { sticky: 7 } });
    await ask({ authorization }, { inputs });
    const { status, statusCode = status } = (await ask(
      { authorization },
      { inputs, parameters: { sticky: {} } },
    )) as {
      status?: number;
      statusCode?: number;
    };
    expect(statusCode).toBe(400);
    expect(door.calls.map(({ stickyKey }) => stickyKey)).toEqual([
      'customer-1',
      'customer-2',
      '7',
      undefined,
    ]);
  });

  it('is a parameter of a message of gRPC', () => {
    const message = {
      model_name: 'double',
      model_version: '',
      id: '',
      inputs: [],
      outputs: [],
      raw_input_contents: [],
    };
    const parameters = { sticky: { string_param: 'customer-3', parameter_choice: 'string_param' as const } };
    expect(inferFromGrpc({ ...message, parameters }).stickyKey).toBe('customer-3');
    expect(inferFromGrpc({ ...message, parameters: {} }).stickyKey).toBeUndefined();
  });
});
