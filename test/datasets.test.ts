import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { App } from '../src/app/app.ts';
import { runCli } from '../src/cli/program.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';
import { runCommand } from './command-line.ts';

const MODEL = join(import.meta.dirname, '../examples/returns/models/return-risk/return-risk.onnx');
const DAY = 86_400_000;
const PROJECT = {
  'aios.yaml': 'name: shop',
  'contracts/order.yaml': `name: order
version: 1.0.0
owner: shop
schema: { type: object, required: [customer, amount], properties: { customer: { type: string }, amount: { type: number }, late: { type: boolean } } }`,
  'entities/customer.yaml': 'name: customer\njoinKeys: [customer]',
  'features/orders.yaml':
    'name: orders\nentity: customer\nsource: { event: order }\nkeys: { customer: data.customer }\nfeatures: { orders: { aggregate: count }, spend: { aggregate: sum, of: data.amount } }',
  'services/buyer.yaml': 'name: buyer\nviews: [orders]',
  'datasets/history.yaml': `name: history
description: Orders as they came
licence: CC0-1.0
service: buyer
labels: [late]
entities: { events: { type: order, keys: { customer: data.customer }, values: { late: data.late } } }`,
  'datasets/given.yaml': 'name: given\nviews: [orders]\nlabels: [late]',
};

describe('datasets at the doors', () => {
  let folder: string;
  let app: App;
  let close: OpenedApp['close'];
  const time = (day: number) => new Date(Date.UTC(2026, 0, 1) + day * DAY).toISOString();
  const publish = (from: number, to: number) =>
    app.publish(
      Array.from({ length: to - from }, (_, at) => ({
        specversion: '1.0' as const,
        id: `o-${from + at}`,
        source: 'urn:shop',
        type: 'order',
        time: time(from + at),
        data: { customer: `c${(from + at) % 4}`, amount: 10 + at, late: at % 3 === 0 },
      })),
    );

  beforeAll(async () => {
    ({ app, dataDir: folder, close } = await openApp({ project: PROJECT }));
    await publish(0, 20);
    await app.stations.consumers.idle();
  });
  afterAll(() => close());

  const aios = (...args: string[]) =>
    runCommand(['--url', app.url, '--key', app.adminKey, 'datasets', ...args]);
  const http = (path: string, init: RequestInit = {}) =>
    fetch(`${app.url}/api/v1/datasets${path}`, {
      ...init,
      headers: {
        authorization: `Bearer ${app.adminKey}`,
        'content-type': 'application/json',
        ...init.headers,
      },
    });
  const at = (name: string) => join(folder, name);

  it('makes a version of the events in the log, once', async () => {
    const made = await http('/history/versions?wait=30s', { method: 'POST', body: '{}' });
    expect([made.status, made.headers.get('location')]).toEqual([201, '/api/v1/datasets/history/versions/1']);
    expect(await made.json()).toMatchObject({
      status: 'done',
      rows: 20,
      version: 1,
      made: { version: 1, rows: 20, query: { service: 'buyer' } },
    });
    const again = await http('/history/versions?wait=30s', { method: 'POST', body: '{}' });
    expect([again.status, ((await again.json()) as { version: number }).version]).toEqual([200, 1]);
    await expect.poll(() => audited('dataset:history'), { timeout: 15_000 }).toEqual(['version-made']);
  });

  it('leaves out what lies outside of the times that are asked for, and answers before it is made', async () => {
    const asked = await http('/history/versions', {
      method: 'POST',
      body: JSON.stringify({ from: time(5), to: time(8) }),
    });
    const { id } = (await asked.json()) as { id: string };
    const address = `/api/v1/dataset-builds/${id}`;
    expect([asked.status, asked.headers.get('location')]).toEqual([202, address]);
    const get = async () => (await http(`/../dataset-builds/${id}`)).json();
    await expect
      .poll(get, { timeout: 15_000 })
      .toMatchObject({ status: 'done', isNew: true, made: { version: 2, rows: 3 } });
    expect((await aios('builds', 'history')).said).toMatch(new RegExp(`${id} +history +done +3 +2`));
  });

  it('tells who waits why it could not be made', async () => {
    const refused = await http('/given/versions?wait=30s', {
      method: 'POST',
      body: JSON.stringify({ rows: [{ customer: 'c1' }] }),
    });
    expect([refused.status, await refused.json()]).toMatchObject([
      422,
      {
        code: 'datasets.entity_rows',
        detail: 'Row 1 has no timestamp.',
        build: expect.stringMatching(/^dsb_/),
      },
    ]);
  });

  it('cancels what is being made; the interrupt of the command line only ends its waiting', async () => {
    const { features } = app.stations;
    const original = features.historical.bind(features);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const spy = vi.spyOn(features, 'historical').mockImplementation(async (...args) => {
      await held;
      return original(...args);
    });
    const waiting = aios('create', 'history', '--from', time(1), '--to', time(3));
    const running = async () => (await app.stations.datasetBuilds.list('history'))[0]?.status;
    await expect.poll(running, { timeout: 15_000 }).toBe('running');
    const { id } = (await app.stations.datasetBuilds.list('history'))[0]!;
    await expect.poll(() => process.listenerCount('SIGINT'), { timeout: 15_000 }).toBeGreaterThan(0);
    process.emit('SIGINT');
    const { code, said } = await waiting;
    expect([code, said]).toEqual([0, expect.stringContaining(`aios datasets cancel ${id}`)]);
    expect(await aios('cancel', id)).toEqual({
      code: 0,
      said: `${id}: canceled; no version of history comes of it.\n`,
    });
    release();
    spy.mockRestore();
    expect((await aios('cancel', id)).said).toContain('datasets.build_ended');
    expect((await app.stations.datasets.versions('history')).length).toBe(2);
    await expect.poll(() => audited('dataset:history'), { timeout: 15_000 }).toContain('build-canceled');
  });

  it('hands the data out in ranges, by its digest', async () => {
    const { digest, sizeBytes } = (await (await http('/history/versions/1')).json()) as {
      digest: string;
      sizeBytes: number;
    };
    const whole = await http('/history/versions/1/data');
    const bytes = Buffer.from(await whole.arrayBuffer());
    expect(`sha256:${createHash('sha256').update(bytes).digest('hex')}`).toBe(digest);
    expect(whole.headers.get('content-disposition')).toBe('attachment; filename="history-1.parquet"');
    const etag = whole.headers.get('etag')!;
    const read = (headers: Record<string, string>) => http('/history/versions/1/data', { headers });
    expect((await read({ 'if-none-match': etag })).status).toBe(304);
    const part = await read({ range: 'bytes=4-9' });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes 4-9/${sizeBytes}`]);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(4, 10))).toBe(true);
    const tail = await read({ range: 'bytes=-4' });
    expect(Buffer.from(await tail.arrayBuffer()).toString()).toBe('PAR1');
    expect((await read({ range: 'bytes=4-9', 'if-range': '"other"' })).status).toBe(200);
    const outside = await read({ range: `bytes=${sizeBytes}-` });
    expect([outside.status, outside.headers.get('content-range')]).toEqual([416, `bytes */${sizeBytes}`]);
    expect(((await outside.json()) as { code: string }).code).toBe('request.range');
    expect((await http('/history/versions/1/data', { method: 'HEAD' })).headers.get('content-length')).toBe(
      String(sizeBytes),
    );
  });

  it('makes a version of a file from the command line', async () => {
    const csv = [
      'customer,timestamp,late',
      ...[1, 2, 3].map((day) => `c${day},${time(day + 8)},${day === 2}`),
    ];
    await writeFile(at('rows.csv'), csv.join('\n'));
    expect((await aios('create', 'given', '--file', at('rows.csv'))).said).toMatch(
      /^given 1: 3 rows, sha256:/,
    );
    await writeFile(at('rows.jsonl'), `{"customer":"c1","timestamp":"${time(30)}","late":true}\n`);
    expect((await aios('create', 'given', '--file', at('rows.jsonl'), '--json')).said).toMatch(/"version":2/);
    expect(await aios('create', 'given')).toMatchObject({
      code: 1,
      said: expect.stringContaining('datasets.entity_rows'),
    });
    expect((await aios('create', 'given', '--file', at('rows.xls'))).code).toBe(64);
  });

  it('is applied with the other folders of a project', async () => {
    await mkdir(at('project/datasets'), { recursive: true });
    await writeFile(at('project/aios.yaml'), 'name: shop');
    await writeFile(at('project/datasets/later.yaml'), 'name: later\nservice: buyer');
    await runCli(['--url', app.url, '--key', app.adminKey, 'apply', at('project')], async () => 1);
    expect(await (await http('/later')).json()).toMatchObject({
      name: 'later',
      definition: { service: 'buyer' },
    });
  });

  it('lists and shows', async () => {
    expect((await aios('list')).said).toMatch(/history +buyer +2 +3 .*Orders as they came/);
    const { said } = await aios('show', 'history', '--of-version', '1');
    expect(said).toMatch(/late +label +boolean +0 % +2 +false \(13\), true \(7\)/);
    expect(JSON.parse((await aios('show', 'history', '--json')).said)).toMatchObject({ version: 2 });
  });

  it('exports files, and a folder that says what is in it', async () => {
    expect((await aios('export', 'history', at('out.csv'), '--of-version', '1')).code).toBe(0);
    expect((await readFile(at('out.csv'), 'utf8')).split('\n')[0]).toBe(
      'customer,timestamp,late,orders,spend',
    );
    await aios('export', 'history', at('whole'), '--of-version', '1');
    const metadata = JSON.parse(await readFile(join(at('whole'), 'croissant.json'), 'utf8'));
    const bytes = await readFile(join(at('whole'), 'data.parquet'));
    expect(metadata.distribution[0]).toMatchObject({
      contentUrl: 'data.parquet',
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    expect(await readFile(join(at('whole'), 'datasheet.md'), 'utf8')).toContain(
      '# Datasheet: history, version 1',
    );
    expect((await aios('export', 'history', at('out.xls'))).code).toBe(64);
  });

  it('says what is not the same in two versions', async () => {
    await publish(20, 24);
    await app.stations.consumers.idle();
    await aios('create', 'history');
    const { code, said } = await aios('diff', 'history', '1', 'latest');
    expect(code).toBe(2);
    expect(said).toContain('4 rows added, 0 removed, 0 changed, 20 the same');
    expect(await aios('diff', 'history', '1', '1')).toEqual({
      code: 0,
      said: 'history 1 (20 rows) and 1 (20 rows) are the same.\n',
    });
  });

  it('is named by the models that were trained on it, which keeps it', async () => {
    const onnxBase64 = (await readFile(MODEL)).toString('base64');
    const body = JSON.stringify({ onnxBase64, datasets: [{ name: 'history', version: 1 }] });
    const made = await fetch(`${app.url}/api/v1/models/risk/versions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${app.adminKey}`, 'content-type': 'application/json' },
      body,
    });
    expect(await made.json()).toMatchObject({ version: 1, datasets: [{ name: 'history', version: 1 }] });
    expect(await (await http('/history/versions/1')).json()).toMatchObject({
      models: [{ name: 'risk', version: 1 }],
    });
    const refused = await http('/history/versions/1', { method: 'DELETE', body: '{}' });
    expect([refused.status, await refused.json()]).toMatchObject([
      409,
      { models: [{ name: 'risk', version: 1 }] },
    ]);
    const nodes = (await app.stations.graph.query({ node: 'event-type:order', direction: 'down' })).nodes.map(
      ({ id }) => id,
    );
    expect(nodes).toEqual(
      expect.arrayContaining(['dataset:history', 'dataset:history@1', 'model:risk@1', 'model:risk']),
    );
  });

  it('deletes what nobody needs, and tells so', async () => {
    expect((await aios('delete', 'given', '2')).said).toBe('The data of given 2 is deleted.\n');
    expect((await http('/given/versions/2/data')).status).toBe(410);
    expect(await (await http('/given/versions/2')).json()).toMatchObject({
      rows: 1,
      deletedBy: expect.any(String),
    });
    await expect
      .poll(() => audited('dataset:given'), { timeout: 15_000 })
      .toEqual(['version-deleted', 'version-made', 'version-made']);
  });

  it('keeps the rows from who may only see what there is', async () => {
    const { key } = await app.stations.access.createKey('looks', ['viewer'], 'test');
    const as = { headers: { authorization: `Bearer ${key}` } };
    expect((await http('/history/versions/1', as)).status).toBe(200);
    expect((await http('/history/versions/1/data', as)).status).toBe(403);
    expect((await http('/history/diff?from=1&to=2', as)).status).toBe(403);
    expect((await http('/history/versions', { ...as, method: 'POST', body: '{}' })).status).toBe(403);
  });

  async function audited(object: string): Promise<string[]> {
    await app.stations.sequencer.drain();
    const entries = (await app.stations.audit.about(object)).filter(({ kind }) => kind === 'dataset');
    return entries.map(({ action }) => action).sort();
  }
});
