import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tensor } from '../src/serving/tensors/tensor.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';

const modelYaml = (name: string, called: string) =>
  `name: ${name}\nruntime: function\nendpoint: { function: ${called} }\nalias: champion\nsignature: { features: [orders], results: { points: { output: points, column: 0 } } }\n`;

describe('a model that is a function of the program that embeds AIOS', () => {
  let opened: OpenedApp;
  const request = (path: string, body: object) =>
    fetch(`${opened.app.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${opened.app.adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).then(async (response) => ({ status: response.status, body: await response.json() }));

  beforeAll(async () => {
    opened = await openApp({
      project: {
        'aios.yaml': 'name: functions\n',
        'models/loyalty/model.yaml': modelYaml('loyalty', 'points'),
      },
      modelFunctions: {
        points: {
          inputs: [{ name: 'orders', datatype: 'FP32', shape: [-1, 1] }],
          outputs: [{ name: 'points', datatype: 'FP32', shape: [-1, 1] }],
          run: ([orders]): Tensor[] => {
            const data = Float32Array.from(orders!.data as Float32Array, (count) => count * 10);
            return [{ name: 'points', datatype: 'FP32', shape: orders!.shape, data }];
          },
        },
      },
    });
  });
  afterAll(() => opened?.close());

  it('answers by tensors, all rows at once, and stands in the registry', async () => {
    const inputs = [{ name: 'orders', datatype: 'FP32', shape: [3, 1], data: [1, 2, 7] }];
    const { status, body } = await request('/v2/models/loyalty/infer', { inputs });
    expect([status, body]).toMatchObject([
      200,
      { model_name: 'loyalty', model_version: '1', outputs: [{ name: 'points', data: [10, 20, 70] }] },
    ]);
  });

  it('is refused by the plan where the program brings no such function, and says which it brings', async () => {
    const files = [{ path: 'models/other/model.yaml', text: modelYaml('other', 'toString') }];
    const { status, body } = await request('/api/v1/apply?dryRun=true', { files });
    expect([status, body]).toMatchObject([
      400,
      {
        code: 'definition.invalid',
        issues: [{ path: '/endpoint/function', found: 'toString', expected: 'points' }],
      },
    ]);
  });
});
