import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type OutsideSystem, startRefunds, startWarehouse } from './systems.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-systems-'));
  file = join(folder, 'made', 'refunds.jsonl');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function post(system: OutsideSystem, path: string, key: string | undefined, body: object) {
  const response = await fetch(`${system.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key ? { 'idempotency-key': key } : {}) },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

it('a refund is paid once for its key, whatever comes again, at once or after a restart', async () => {
  let system = await startRefunds(file);
  const both = await Promise.all(
    [5, 500].map((amount) => post(system, '/refunds', 'k1', { returnId: 'r1', amount })),
  );
  expect(both.map(({ status }) => status).sort()).toEqual([200, 201]);
  const [first, second] = both;
  expect(first!.body).toEqual(second!.body);
  expect(system.calls.get('k1')).toBe(2);
  await system.stop();

  system = await startRefunds(file);
  const again = await post(system, '/refunds', 'k1', { returnId: 'r1', amount: 7 });
  expect(again).toEqual({ status: 200, body: first!.body });
  expect(again.body).toMatchObject({ refundId: 'refund-r1', returnId: 'r1', key: 'k1' });
  expect((await readFile(file, 'utf8')).split('\n')).toHaveLength(2);
  await system.stop();
});

it('a line that a crash cut off loses that line alone', async () => {
  let system = await startRefunds(file);
  await post(system, '/refunds', 'k1', { returnId: 'r1', amount: 5 });
  await system.stop();
  await appendFile(file, '["k2",{"refundId":"refu');

  system = await startRefunds(file);
  expect([...system.done.keys()]).toEqual(['k1']);
  expect((await post(system, '/refunds', 'k2', { returnId: 'r2', amount: 6 })).status).toBe(201);
  await system.stop();

  system = await startRefunds(file);
  expect([...system.done.keys()]).toEqual(['k1', 'k2']);
  await system.stop();
});

it('a bad moment does nothing, and the same key succeeds after it', async () => {
  const system = await startWarehouse(join(folder, 'warehouse.jsonl'), 2);
  const body = { returnId: 'r1', product: '22752', quantity: 3 };
  expect((await post(system, '/expected', 'k1', body)).status).toBe(201);
  expect((await post(system, '/expected', 'k2', body)).status).toBe(503);
  expect(system.done.has('k2')).toBe(false);
  expect(await post(system, '/expected', 'k2', body)).toEqual({
    status: 201,
    body: { noticeId: 'notice-r1', ...body, key: 'k2' },
  });
  await system.stop();
});

it.each([
  ['no key', '/refunds', undefined],
  ['another path', '/elsewhere', 'k1'],
])('%s is refused and nothing is done', async (_, path, key) => {
  const system = await startRefunds(file);
  expect((await post(system, path, key, {})).status).toBe(400);
  expect(system.done.size).toBe(0);
  await system.stop();
});
