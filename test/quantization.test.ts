import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { App } from '../src/app/app.ts';
import { runCli } from '../src/cli/program.ts';
import type { JsonObject } from '../src/kernel/json.ts';
import { constant, numbers } from '../src/models/quantization/quantize-under-test.ts';
import { onnxModel } from '../src/testing/onnx.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';

const FEATURES = ['a', 'b', 'c', 'd'];
const ROWS = 200;
const POLL = { timeout: 20_000 };
const data = numbers(ROWS * FEATURES.length, 5);
/** Returned when `a` is greater than `b`, nearly always. */
const rows = Array.from({ length: ROWS }, (_, row) => {
  const [a, b, c, d] = data.subarray(row * FEATURES.length) as unknown as [number, number, number, number];
  return { a, b, c, d, returned: Number(a + (row % 10 === 0 ? 1 : 0) > b) };
});

/** Of hidden size 64: the second matrix has 16 KiB. */
function perceptron(): Uint8Array {
  const w0 = constant([4, 64], 2);
  for (let i = 0; i < 64; i++) [w0.data[i], w0.data[64 + i]] = [i % 2 ? 1 : -1, i % 2 ? -1 : 1];
  const w2 = constant([64, 1], 4);
  for (let i = 0; i < 64; i++) w2.data[i] = i % 2 ? 1 : -1;
  const w1 = constant([64, 64], 3);
  for (let i = 0; i < w1.data.length; i++) w1.data[i] = i % 65 === 0 ? 1 : w1.data[i]! / 50;
  return onnxModel({
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w0'], outputs: ['s0'] },
      { op: 'Relu', inputs: ['s0'], outputs: ['h0'] },
      { op: 'Gemm', inputs: ['h0', 'w1'], outputs: ['s1'] },
      { op: 'Relu', inputs: ['s1'], outputs: ['h1'] },
      { op: 'MatMul', inputs: ['h1', 'w2'], outputs: ['s2'] },
      { op: 'Sigmoid', inputs: ['s2'], outputs: ['score'] },
    ],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['rows', 4] }],
    outputs: [{ name: 'score', datatype: 'FP32', shape: ['rows', 1] }],
    constants: { w0, w1, w2 },
  });
}

interface Answer {
  version: (JsonObject & { version: number; card: JsonObject; signature: JsonObject }) | null;
  isNew: boolean;
  quantization: JsonObject & { agreement: number; data: JsonObject };
}

describe('a quantized version', () => {
  let folder: string;
  let app: App;
  let close: OpenedApp['close'];

  beforeAll(async () => {
    ({ app, dataDir: folder, close } = await openApp());
    const onnxBase64 = Buffer.from(perceptron()).toString('base64');
    const signature = { features: FEATURES, results: { risk: { output: 'score', column: 0 } } };
    const card = { task: 'binary classification', auc: 0.75, owner: 'returns' };
    await call('POST', '/api/v1/models/risk/versions', { onnxBase64, signature, card });
    await call('PUT', '/api/v1/models/risk/aliases/champion', { version: 1 });
  }, 60_000);
  afterAll(() => close());

  async function call(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${app.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${app.adminKey}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }
  const quantize = async (body: object, version = 1, name = 'risk') => {
    const answer = await call('POST', `/api/v1/models/${name}/versions/${version}/quantize`, body);
    return { ...answer, body: answer.body as Answer & { code?: string; detail?: string } };
  };
  const versions = async () => {
    const { body } = await call('GET', '/api/v1/models/risk');
    return body as { versions: JsonObject[]; aliases: JsonObject } satisfies object;
  };
  const small = { weightBytesMin: 1_024 };

  it('is refused without leaving anything behind', async () => {
    const none = await quantize({});
    expect(none).toMatchObject({ status: 422, body: { code: 'models.not_quantizable' } });
    expect(none.body.detail).toMatch(/2 × MatMul, 2 × Relu, Gemm, Sigmoid.*weights below 131072 bytes \(3\)/);
    const far = await quantize({ ...small, rows: rows.map(({ a, b }) => ({ a, b })) });
    expect(far).toMatchObject({ status: 400, body: { code: 'models.quantization_data' } });
    expect(far.body.detail).toMatch(/\/rows\/0.*“c” is absent/);
    const unlabelled = await quantize({ ...small, rows, label: 'nothing' });
    expect(unlabelled).toMatchObject({ status: 400, body: { code: 'models.quantization_data' } });
    expect(await quantize(small, 9)).toMatchObject({ status: 404, body: { code: 'models.unknown_version' } });
    expect(await quantize({ operators: ['Loop'] })).toMatchObject({ status: 422 });
  });

  it('that agrees too little with its parent is not kept, and the figures say how little', async () => {
    // One weight is so great that the others are less than half a step.
    const w = { shape: [4, 64], data: numbers(256, 3) };
    w.data[0] = 1_000;
    const onnx = onnxModel({
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['rows', 4] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['rows', 64] }],
      constants: { w },
    });
    const onnxBase64 = Buffer.from(onnx).toString('base64');
    await call('POST', '/api/v1/models/outlier/versions', { onnxBase64 });
    const refused = await quantize({ weightBytesMin: 0 }, 1, 'outlier');
    expect(refused).toMatchObject({
      status: 422,
      body: { code: 'models.quantization_disagrees', agreementMin: 0.98 },
    });
    expect(refused.body.detail).toMatch(
      /on \d+(\.\d+)? % of 512 rows; 98 % are needed\. y differs by [\d.]+ on average/,
    );
    const shown = await quantize({ weightBytesMin: 0, dryRun: true }, 1, 'outlier');
    expect(shown).toMatchObject({ status: 200, body: { version: null, isNew: false } });
    expect(shown.body.quantization).toMatchObject({ data: { source: 'random' } });
    expect(shown.body.quantization.agreement).toBeLessThan(0.98);
    const perChannel = await quantize({ weightBytesMin: 0, dryRun: true, perChannel: true }, 1, 'outlier');
    expect(perChannel.body.quantization.agreement).toBeGreaterThan(shown.body.quantization.agreement);
    expect(
      ((await call('GET', '/api/v1/models/outlier')).body as { versions: unknown[] }).versions,
    ).toHaveLength(1);
  });

  it('says in its card what it was measured on and how it did beside its parent; no alias moves', async () => {
    const wanted = { ...small, rows, label: 'returned' };
    const { status, body } = await quantize(wanted);
    expect(status).toBe(201);
    expect(body).toMatchObject({
      isNew: true,
      version: {
        version: 2,
        signature: { features: FEATURES, results: { risk: { output: 'score', column: 0 } } },
        card: { task: 'binary classification', owner: 'returns' },
      },
      quantization: {
        method: 'dynamic-int8',
        parent: { version: 1 },
        operators: { Gemm: 1, MatMul: 1 },
        left: { 'weights below 1024 bytes': 1 },
        data: { source: 'rows', rows: ROWS, label: 'returned' },
        accuracy: { metric: 'auc', rows: ROWS },
        parentFigures: { auc: 0.75 },
        batchable: { parent: true, child: true },
      },
    });
    const { accuracy, speed, bytes, outputs, residentBytes } = body.quantization as unknown as {
      accuracy: { parent: number; child: number };
      speed: { batchRows: number; p50Ms: { parent: number; child: number } }[];
      bytes: { parent: number; child: number };
      residentBytes: { child: number };
      outputs: { score: { meanDifference: number; maxDifference: number } };
    };
    expect(accuracy.parent).toBeGreaterThan(0.8);
    expect(Math.abs(accuracy.child - accuracy.parent)).toBeLessThan(0.05);
    expect(body.version!.card.auc).toBe(accuracy.child); // what was measured on the parent is not claimed of the child
    expect(body.version!.card.quantization).toEqual(body.quantization);
    expect(speed[0]).toMatchObject({ batchRows: 1 });
    for (const { p50Ms } of speed) expect(Math.min(p50Ms.parent, p50Ms.child)).toBeGreaterThan(0);
    expect(bytes.child).toBeLessThan(bytes.parent / 2);
    expect(residentBytes.child).toBeGreaterThan(1e6);
    expect(outputs.score.maxDifference).toBeLessThan(0.05);

    const { aliases, versions: kept } = await versions();
    expect(aliases).toEqual({ champion: 1 });
    expect(kept).toHaveLength(2);
    const again = await quantize(wanted);
    expect(again).toMatchObject({ status: 200, body: { isNew: false, version: { version: 2 } } });
    expect(again.body.quantization).toEqual(body.quantization);
    const twice = await Promise.all([
      quantize({ ...wanted, perChannel: true }),
      quantize({ ...wanted, perChannel: true }),
    ]);
    expect(twice.map(({ body: { version, isNew } }) => [version?.version, isNew])).toEqual([
      [3, true],
      [3, false],
    ]);
    const entriesOf = async () => {
      const { body: page } = await call('GET', '/api/v1/audit/entries?object=model:risk');
      const { items } = page as { items: { index: number }[] };
      return Promise.all(
        items.map(async ({ index }) => (await call('GET', `/api/v1/audit/entries/${index}`)).body),
      );
    };
    const card = {
      quantization: { method: 'dynamic-int8', parent: expect.objectContaining({ version: 1 }) },
    };
    const recorded = expect.objectContaining({
      action: 'registered',
      payload: expect.objectContaining({
        version: 3,
        card: expect.objectContaining({ quantization: expect.objectContaining(card.quantization) }),
      }),
    });
    await expect.poll(entriesOf, POLL).toContainEqual(recorded); // entries are put in order a moment after their commit
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [0.5, -0.5, 0, 0] }];
    const answers = await Promise.all(
      [1, 2].map((version) => call('POST', `/v2/models/risk/versions/${version}/infer`, { inputs })),
    );
    const [a, b] = answers.map(
      ({ body: answer }) => (answer as { outputs: { data: number[] }[] }).outputs[0]!.data[0]!,
    );
    expect(Math.abs(a! - b!)).toBeLessThan(0.05);
  });

  it('is made from the command line, of the champion, with the rows of a CSV file', async () => {
    const file = join(folder, 'returns.csv');
    const heading = [...FEATURES, 'returned', 'note'];
    const lines = rows.map((row) => `${Object.values(row).join(',')},"a ""note"", quoted"`);
    await writeFile(file, `${heading.join(',')}\n${lines.join('\n')}\n`);
    const aios = async (...args: string[]) => {
      const printed: string[] = [];
      const spies = [process.stdout, process.stderr].map((stream) =>
        vi
          .spyOn(stream, 'write')
          .mockImplementation(((text: unknown) => printed.push(String(text)) > 0) as typeof stream.write),
      );
      const code = await runCli(['--url', app.url, '--key', app.adminKey, 'models', ...args], async () => 0);
      for (const spy of spies) spy.mockRestore();
      return { code, text: printed.join('') };
    };
    const options = ['--data', file, '--label', 'returned', '--weight-bytes-min', '1024'];
    const dry = await aios('quantize', 'risk@champion', ...options, '--operators', 'Gemm', '--dry-run');
    expect(dry.text).toMatch(
      /risk\/1 with weights of 8 bits \(dry run: nothing is kept\)\ncomputes with whole numbers: 1 × Gemm\n/,
    );
    expect(dry.text).toMatch(
      /PARENT +QUANTIZED\n.*file +.*MB.*smaller\n.*memory.*p50, 1 rows.*(fast|slow)er\n.*auc +0\.\d+ +0\.\d+/s,
    );
    expect(dry.text).toMatch(/agrees on [\d.]+ % of 200 rows \(of the data given\)\nscore differs by/);
    expect(dry.code).toBe(0);
    const made = await aios('quantize', 'risk', ...options, '--per-channel', '--operators', 'Gemm');
    expect(made.text).toContain('risk/4 is registered: risk/1 with weights of 8 bits');
    const known = await aios(
      '--json',
      'quantize',
      'risk:1',
      ...options,
      '--per-channel',
      '--operators',
      'Gemm',
    );
    expect(JSON.parse(known.text)).toMatchObject({ isNew: false, version: { version: 4 } });
    for (const reference of ['risk@nobody', 'risk:99', 'risk:x', 'none'])
      expect((await aios('quantize', reference)).code, reference).toBe(1);
    await writeFile(join(folder, 'rows.txt'), 'a');
    expect((await aios('quantize', 'risk', '--data', join(folder, 'rows.txt'))).text).toContain(
      '.csv, .jsonl and .json',
    );
  });

  it('is compared on what the request log kept, where nobody gives rows', async () => {
    const definition = 'name: logged\nfile: m.onnx\nserving: { log: { sample: 1 } }\nalias: champion\n';
    const files = [
      { path: 'models/logged/model.yaml', text: definition },
      { path: 'models/logged/m.onnx', base64: Buffer.from(perceptron()).toString('base64') },
    ];
    await call('POST', '/api/v1/apply', { files });
    const features = rows.slice(0, 60).map(({ a, b, c, d }) => [a, b, c, d]);
    for (const from of [0, 20, 40]) {
      const inputs = [
        { name: 'x', datatype: 'FP32', shape: [20, 4], data: features.slice(from, from + 20).flat() },
      ];
      expect(await call('POST', '/v2/models/logged/infer', { inputs })).toMatchObject({ status: 200 });
    }
    const path = '/api/v1/models/logged/requests';
    await expect
      .poll(async () => ((await call('GET', path)).body as { items: unknown[] }).items.length, POLL)
      .toBe(3);
    const { body } = await quantize({ ...small, dryRun: true }, 1, 'logged');
    expect(body.quantization.data).toEqual({ source: 'request-log', rows: 60 });
  });
});
