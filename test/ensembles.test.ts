import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { newSecret } from '../src/access/key-format.ts';
import { type App, createApp } from '../src/app.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';

const folder = join(import.meta.dirname, '..', 'examples', 'ensembles');
let app: App;
let database: TestDatabase;
let dataDir: string;
const adminKey = newSecret('key');

async function project() {
  const paths = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = paths.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(
    files.map(async (file) => ({ path: file.slice(folder.length + 1), bytes: await readFile(file) })),
  );
}

beforeAll(async () => {
  database = await createTestDatabase([]);
  dataDir = await mkdtemp(join(tmpdir(), 'aios-ensembles-'));
  const { user, password, host, port } = inject('postgres');
  const [row] = await database.db.query<{ name: string }>('select current_database() as name');
  const databaseUrl = `postgres://${user}:${password}@${host}:${port}/${row!.name}`;
  app = await createApp({
    dataDir,
    databaseUrl,
    host: '127.0.0.1',
    port: 0,
    grpc: { port: 0 },
    adminKey,
    limits: limitsFrom(),
  });
  app.ready();
  await app.apply(await project());
});
afterAll(async () => {
  await app?.stop();
  await database.close();
  await rm(dataDir, { recursive: true });
});

const ask = async (model: string, rows: number[][]) => {
  const response = await fetch(`${app.url}/v2/models/${model}/infer`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      inputs: [{ name: 'features', datatype: 'FP32', shape: [rows.length, 2], data: rows.flat() }],
    }),
  });
  return (await response.json()) as {
    outputs: { name: string; datatype: string; shape: number[]; data: unknown[] }[];
    parameters?: object;
  };
};

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const linear = ([a, b]: number[]) => sigmoid(a! - 2 * b! + 0.5);
const steep = ([a, b]: number[]) => sigmoid(4 * a! - b!);
const wide = ([a, b]: number[]) => sigmoid(0.5 * a! + 0.5 * b! - 0.25);
const near = (value: number) => expect.closeTo(value, 5);

describe('the project examples/ensembles', () => {
  it('serves a pipeline: normalised, scored, decided row by row', async () => {
    const answer = await ask('risk-pipeline', [
      [50, 1],
      [80, 40],
      [150, 0],
    ]);
    const risks = [linear([0, 0.1]), linear([1.2, 4]), linear([4, 0])];
    expect(answer.outputs).toMatchObject([
      { name: 'risk', datatype: 'FP32', shape: [3, 1], data: risks.map(near) },
      { name: 'action', datatype: 'BYTES', shape: [3], data: ['review', 'pay', 'refuse'] },
    ]);
    expect(answer.parameters).toEqual({ parts: 'risk-linear/1,decision:risk-limits/1' });
  });

  it('serves an ensemble: the mean and the vote of three models', async () => {
    const rows = [
      [1, 1],
      [0, 4],
    ];
    const answer = await ask('risk-ensemble', rows);
    const means = rows.map((row) => (linear(row) + steep(row) + wide(row)) / 3);
    expect(answer.outputs).toMatchObject([
      { name: 'mean', shape: [2, 1], data: means.map(near) },
      { name: 'vote', datatype: 'BOOL', shape: [2], data: [true, false] },
    ]);
  });

  it('serves a cascade: the dear model only where the cheap one is not sure', async () => {
    const sure = await ask('risk-cascade', [[5, 1]]);
    expect(sure.parameters).toEqual({ parts: 'risk-linear/1' });
    expect(sure.outputs[0]!.data).toEqual([near(linear([5, 1]))]);
    const unsure = await ask('risk-cascade', [[1, 1]]);
    expect(unsure.parameters).toMatchObject({
      parts: expect.stringMatching(/^risk-linear\/1,risk-ensemble\/1,risk-/),
    });
    const mean = (linear([1, 1]) + steep([1, 1]) + wide([1, 1])) / 3;
    expect(unsure.outputs[0]!.data).toEqual([near(mean)]);
  });
});
