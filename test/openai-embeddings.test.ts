import { beforeAll, expect, it } from 'vitest';
import { onnxModel } from '../src/testing/onnx.ts';
import { describeOpenAi, eventually } from './openai-under-test.ts';

/** An embedding model: of each token its id and its mask, in this order or the other. */
function tokenModel(order: readonly string[]): string {
  const ids = (name: string) => ({ name, datatype: 'INT64' as const, shape: ['rows', 'tokens'] });
  const onnx = onnxModel({
    inputs: [ids('input_ids'), ids('attention_mask')],
    outputs: [{ name: 'last_hidden_state', datatype: 'FP32', shape: ['rows', 'tokens', 2] }],
    constants: { axes: { shape: [1], data: BigInt64Array.of(2n) } },
    nodes: [
      { op: 'Cast', inputs: ['input_ids'], outputs: ['a'], attributes: { to: 1 } },
      { op: 'Cast', inputs: ['attention_mask'], outputs: ['b'], attributes: { to: 1 } },
      { op: 'Unsqueeze', inputs: ['a', 'axes'], outputs: ['c'] },
      { op: 'Unsqueeze', inputs: ['b', 'axes'], outputs: ['d'] },
      { op: 'Concat', inputs: order, outputs: ['last_hidden_state'], attributes: { axis: 2 } },
    ],
  });
  return Buffer.from(onnx).toString('base64');
}

describeOpenAi('embeddings of a model with tensors that has a canary', {}, (stock) => {
  beforeAll(async () => {
    for (const order of [
      ['c', 'd'],
      ['d', 'c'],
    ])
      await stock.aios.api('POST', '/api/v1/models/tokens/versions', { onnxBase64: tokenModel(order) });
    await stock.aios.api('PUT', '/api/v1/models/tokens/aliases/champion', { version: 1 });
    const plan = { kind: 'canary', challenger: 2, steps: [{ percent: 50 }] };
    expect((await stock.aios.api('POST', '/api/v1/models/tokens/rollouts', plan)).status).toBe(201);
  });

  // More than `batchMax`, so that they are asked for in parts.
  const input = Array.from({ length: 200 }, () => [7]);
  const embed = async (headers: Record<string, string> = {}, user?: string) => {
    const request = { model: 'tokens', input, encoding_format: 'float' as const, ...(user && { user }) };
    const { data, response } = await stock.client.embeddings.create(request, { headers }).withResponse();
    const versions = new Set(data.data.map(({ embedding: [x, y] }) => (x! > y! ? 1 : 2)));
    return { versions: [...versions], told: response.headers.get('x-aios-model') };
  };

  it('are those of one version, which is told', async () => {
    const seen = new Set<number>();
    await eventually(async () => {
      const { versions, told } = await embed();
      expect(versions).toHaveLength(1);
      expect(told).toBe(`tokens@${versions[0]}`);
      seen.add(versions[0]!);
      expect(seen.size).toBe(2);
    });
  });

  it.each([
    ['the header', (key: string) => embed({ 'aios-sticky-key': key })],
    ['the user of the request', (key: string) => embed({}, key)],
  ])('are those of the version of their key: by %s', async (_, ask) => {
    const seen = new Set<number>();
    for (let key = 0; key < 12; key++) {
      const [first, second] = [await ask(`key-${key}`), await ask(`key-${key}`)];
      expect(second).toEqual(first);
      seen.add(first.versions[0]!);
    }
    expect(seen.size).toBe(2);
  });

  it('are one call for the rate limit, however many parts they are asked for in', async () => {
    const text = 'name: tokens\nfile: a.onnx\nserving: { rateLimit: { perSecond: 0.001, burst: 2 } }\n';
    const files = [
      { path: 'models/tokens/model.yaml', text },
      { path: 'models/tokens/a.onnx', base64: tokenModel(['c', 'd']) },
    ];
    expect((await stock.aios.api('POST', '/api/v1/apply', { files })).status).toBe(200);
    const ask = () => stock.client.embeddings.create({ model: 'tokens', input }).withResponse();
    for (const left of ['1', '0'])
      expect((await ask()).response.headers.get('x-ratelimit-remaining-requests')).toBe(left);
    await expect(ask()).rejects.toMatchObject({ status: 429, code: 'serving.rate_limited' });
  });

  it('are paid for as those of the version that answered', async () => {
    await eventually(async () => {
      const { body } = await stock.aios.api('GET', '/api/v1/costs?groupBy=resource');
      const resources = (body.items as { key: string }[]).map(({ key }) => key);
      expect(resources).toEqual(expect.arrayContaining(['tokens@1', 'tokens@2']));
    });
  });
});
