import { createHash, createPublicKey, verify } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { returnRequested } from '../src/api/api-under-test.ts';
import { openedApi } from '../src/api/opened-api-under-test.ts';
import { runCommand } from './command-line.ts';

const RUNS = 5;
const sha256 = (...parts: (Uint8Array | string)[]) =>
  parts.reduce((digest, part) => digest.update(part), createHash('sha256')).digest();

/** What an auditor holds in hand: exports alone, read by code that shares nothing with the server's. */
describe('what an auditor takes away', () => {
  const { api, database } = openedApi();
  let url: string;
  let folder: string;
  const runIds: string[] = [];
  const aios = async (...args: string[]) => {
    const { code, said } = await runCommand(['--url', url, '--key', api.keys.admin, ...args]);
    return { code, said, json: () => JSON.parse(said) };
  };

  beforeAll(async () => {
    url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    folder = await mkdtemp(join(tmpdir(), 'aios-exports-'));
    for (let i = 0; i < RUNS; i++) {
      const event = JSON.stringify(returnRequested(`audited-${i}`, 30));
      const { json } = await aios('--json', 'run', 'returns', '--event', event, '--wait', '5s');
      runIds.push(json().id);
      await aios('runs', 'cancel', json().id);
    }
    await vi.waitFor(async () => {
      const { json } = await aios('--json', 'audit', '--of', `run:${runIds.at(-1)}`);
      expect(json().items.length).toBeGreaterThan(0);
    }, 15_000);
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  it('is a copy of the log that verifies by the specification alone, and by aios without the server', async () => {
    const log = join(folder, 'log');
    const { size } = (await aios('--json', 'audit', '--export', log)).json();
    const note = (await readFile(join(log, 'checkpoint'), 'utf8')).split('\n');
    const [origin, told, root] = note as [string, string, string];
    expect(Number(told)).toBe(size);

    // C2SP tlog-tiles: entries of a bundle, each after its length in 16 bits.
    const bundle = await readFile(join(log, `tile/entries/000.p/${size}`));
    const entries: Buffer[] = [];
    for (let at = 0; at < bundle.length; ) {
      const length = bundle.readUInt16BE(at);
      entries.push(bundle.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
    // RFC 6962, 2.1.
    const rootOf = (leaves: readonly Buffer[]): Buffer => {
      if (leaves.length === 1) return sha256(Buffer.of(0), leaves[0]!);
      const half = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
      return sha256(Buffer.of(1), rootOf(leaves.slice(0, half)), rootOf(leaves.slice(half)));
    };
    expect(rootOf(entries).toString('base64')).toBe(root);
    expect(await readFile(join(log, `tile/0/000.p/${size}`))).toEqual(
      Buffer.concat(entries.map((entry) => sha256(Buffer.of(0), entry))),
    );
    // C2SP signed-note: the key after its name and id; the signature after four bytes of id, over the text with its last newline.
    const key = Buffer.from(
      (await readFile(join(log, 'log.vkey'), 'utf8')).trim().split('+').slice(2).join('+'),
      'base64',
    );
    const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key.subarray(1)]);
    const signature = Buffer.from(note[4]!.split(' ').at(-1)!, 'base64').subarray(4);
    const signed = Buffer.from(`${origin}\n${told}\n${root}\n`);
    expect(verify(null, signed, createPublicKey({ key: spki, format: 'der', type: 'spki' }), signature)).toBe(
      true,
    );

    const offline = await runCommand(['verify', '--from', log, '--log-key', join(log, 'log.vkey')]);
    expect(offline).toEqual({
      code: 0,
      said: expect.stringMatching(new RegExp(`holds: ${size} entries, .* proofs checked`)),
    });
    for (const [path, at] of [
      [`tile/entries/000.p/${size}`, 30],
      [`tile/0/000.p/${size}`, 30],
    ] as const) {
      const whole = await readFile(join(log, path));
      await writeFile(join(log, path), whole.with(at, whole[at]! ^ 1));
      const broken = await runCommand(['verify', '--from', log]);
      expect([path, broken.code, broken.said]).toEqual([path, 1, expect.stringContaining('does NOT hold')]);
      await writeFile(join(log, path), whole);
    }
    const nowhere = await runCommand(['verify', '--from', join(folder, 'nothing')]);
    expect(nowhere).toEqual({ code: 1, said: expect.stringContaining('client.file') });
  });

  it('is what an entry commits to, with what shows it', async () => {
    const [entry] = (await aios('--json', 'audit', '--of', `run:${runIds[0]}`)).json().items;
    const shown = (await aios('--json', 'audit', String(entry.index))).json();
    expect(shown).toMatchObject({ payloadAgrees: true, entry: { id: entry.id } });
    const { payloadSalt, payloadText, payload } = shown.entry;
    expect(sha256(Buffer.from(payloadSalt, 'base64'), payloadText).toString('hex')).toBe(entry.payloadDigest);
    expect(JSON.parse(payloadText)).toEqual(payload);
    expect((await aios('audit', String(entry.index))).said).toContain('payload agrees with the digest');
    // Who may not see payloads gets nothing that opens them.
    const other = await runCommand([
      '--url',
      url,
      '--key',
      api.keys.viewer,
      '--json',
      'audit',
      String(entry.index),
    ]);
    expect(other.said).not.toMatch(/payloadText|payloadSalt|does NOT/);
    const asViewer = ['--url', url, '--key', api.keys.viewer];
    const all = await runCommand([...asViewer, 'audit', '--export', join(folder, 'others'), '--payloads']);
    expect(all).toEqual({ code: 1, said: expect.stringContaining('access.forbidden') });
  });

  it('are charges in the columns of FOCUS, which DuckDB reads and adds up to what aios says', async () => {
    await database.db.query(
      `insert into cost_entries (run_id, step_key, service, resource, quantity, unit, amount_micro_usd, at, tags) values
       ($1, 'score', 'inference', 'risk@3', 236.05099999986123, 'µs', 2, '2026-01-31T23:59:59.500Z', null),
       ($1, 'pay', 'connector', 'refunds, "fast"', 1, 'call', 1500000, '2026-02-01T00:00:00Z', '{"by":"key_1"}'),
       ('', 'call_1', 'language-model', 'gpt@1', 12, 'token', 7, '2026-02-01T00:00:00Z', null)`,
      [runIds[0]],
    );
    const file = join(folder, 'focus.csv');
    expect(await aios('costs', '--focus', file)).toMatchObject({ code: 0, said: '' });
    const duck = await (await DuckDBInstance.create()).connect();
    const rows = await duck.runAndReadAll(
      `select ServiceName, ServiceCategory, ResourceId, ConsumedQuantity::double as quantity, ConsumedUnit, BilledCost::decimal(18, 6)::varchar as cost,
        BillingPeriodStart::varchar as month, ChargePeriodStart < ChargePeriodEnd as ordered, SubAccountName, x_RunId, Tags
       from read_csv('${file}') where x_RunId = '${runIds[0]}' or x_RunId is null order by ServiceName`,
    );
    const [connector, inference, model] = rows.getRowObjects();
    expect(connector).toMatchObject({
      ServiceCategory: 'Integration',
      ResourceId: 'refunds, "fast"',
      cost: '1.500000',
      ordered: true,
      SubAccountName: 'returns',
      Tags: '{"by":"key_1"}',
    });
    expect(inference).toMatchObject({
      ServiceCategory: 'AI and Machine Learning',
      quantity: 236.051,
      ConsumedUnit: 'µs',
      cost: '0.000002',
      month: expect.stringMatching(/^2026-01-01/),
    });
    expect(model).toMatchObject({ SubAccountName: null, x_RunId: null, cost: '0.000007' });
    const sum = await duck.runAndReadAll(
      `select sum(BilledCost::decimal(18, 6))::varchar as sum from read_csv('${file}')`,
    );
    const { items } = (await aios('--json', 'costs', '--by', 'resource')).json() as {
      items: { amountMicroUsd: number }[];
    };
    const told = items.reduce((total, { amountMicroUsd }) => total + amountMicroUsd, 0);
    expect(sum.getRowObjects()).toEqual([{ sum: (told / 1e6).toFixed(6) }]);

    const one = await aios(
      'costs',
      '--focus',
      '-',
      '--of-run',
      runIds[0]!,
      '--since',
      '2026-02-01T00:00:00Z',
    );
    expect(one.said.trim().split('\r\n')).toHaveLength(2);
    expect((await aios('costs', '--of-run', 'x')).said).toContain('goes with --focus');
  });
});

it('decides again with the version that did, and says when the answer is another', async () => {
  const payload = { decision: 'policy', version: 2, input: { a: 1 }, output: { ok: true }, rule: 'small' };
  const payloadText = JSON.stringify(payload);
  const salt = Buffer.alloc(16, 7);
  const entry = {
    ...{ index: 5, id: 'aud_1', kind: 'decision', action: 'decided', actor: { kind: 'workflow', id: 'x' } },
    ...{ object: 'run:run_1', at: '2026-01-01T00:00:00Z', leafHash: 'x', payload, payloadText },
    ...{ payloadSalt: salt.toString('base64'), payloadDigest: sha256(salt, payloadText).toString('hex') },
  };
  const asked: unknown[] = [];
  let rule = 'small';
  const server = createServer(async (request, response) => {
    const answer = (value: object) =>
      response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
    if (request.url === '/api/v1/audit/entries/5') return void answer(entry);
    if (request.url?.startsWith('/api/v1/audit/proof'))
      return void answer({ index: 5, size: 9, leafHash: 'x', hashes: [] });
    asked.push([request.url, JSON.parse((await request.toArray()).join(''))]);
    answer({ output: { ok: true }, rule, version: 2 });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const again = () => runCommand(['--url', url, '--key', 'k', 'audit', '5', '--again']);
  expect(await again()).toEqual({
    code: 0,
    said: expect.stringContaining('decided again by version 2: the same'),
  });
  expect(asked).toEqual([['/api/v1/decisions/policy/evaluate', { input: { a: 1 }, version: 2 }]]);
  rule = 'other';
  expect(await again()).toEqual({ code: 1, said: expect.stringMatching(/NOT the same: .* by rule other/) });
  entry.payloadText = payloadText.replace('1', '2');
  expect(await again()).toEqual({ code: 1, said: expect.stringContaining('payload does NOT agree') });
  server.close();
});
