import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openExample } from '../examples/returns/example-under-test.ts';
import { Simulation } from '../examples/returns/simulator.ts';
import type { JsonObject } from '../src/kernel/json.ts';
import { tilePath } from '../src/kernel/merkle.ts';
import { runCommand } from './command-line.ts';

/** A decision of the example after its run is gone and its table and flow have changed: from the server, and from a copy without it. */
describe('a decision, years later', () => {
  let example: Awaited<ReturnType<typeof openExample>>;
  let folder: string;
  let copy: string;
  let runId: string;
  let event: { id: string; source: string };
  let index: number;
  const aios = (...args: string[]) =>
    runCommand(['--url', example.app.url, '--key', example.app.adminKey, ...args]);
  const json = async (...args: string[]) => {
    const { code, said } = await aios('--json', ...args);
    expect([args, code, said]).toEqual([args, 0, expect.stringMatching(/^\{/)]);
    return JSON.parse(said.slice(said.indexOf('{'))) as JsonObject & { items: JsonObject[] };
  };
  const changed = async (collection: string, name: string, change: (body: JsonObject) => JsonObject) => {
    const url = `${example.app.url}/api/v1/${collection}/${name}`;
    const headers = {
      authorization: `Bearer ${example.app.adminKey}`,
      'content-type': 'application/json',
    };
    const { body } = (await (await fetch(url, { headers })).json()) as { body: JsonObject };
    const put = await fetch(url, { method: 'PUT', headers, body: JSON.stringify(change(body)) });
    expect([put.status, await put.text()]).toEqual([200, expect.any(String)]);
  };

  beforeAll(async () => {
    example = await openExample();
    folder = await mkdtemp(join(tmpdir(), 'aios-years-'));
    copy = join(folder, 'log');
    const events = new Simulation(7, Date.now).first();
    await example.app.publish(events);
    const run = await vi.waitFor(async () => {
      const { items } = await json('runs', '--workflow', 'returns', '--status', 'completed');
      expect(items.length).toBeGreaterThan(0);
      return items[0]!;
    }, 20_000);
    runId = String(run.id);
    event = events.find(({ subject }) => subject === run.subject)!;
    index = await vi.waitFor(async () => {
      const { items } = await json('audit', '--of', `run:${runId}`);
      expect(items).toHaveLength(1);
      return Number(items[0]!.index);
    }, 20_000);
    // What retention does to a run, without the 90 days.
    await json('runs', 'delete', runId);
    for (const description of ['once', 'twice']) {
      await changed('decisions', 'return-policy', ({ rules, ...body }) => ({
        ...body,
        description,
        // biome-ignore lint/suspicious/noThenProperty: a rule of a decision table
        rules: [{ id: description, then: { outcome: 'refuse' }, reason: 'all' }, ...(rules as JsonObject[])],
        tests: [],
      }));
      await changed('workflows', 'returns', ({ document, ...body }) => ({
        ...body,
        document: { ...(document as JsonObject), summary: description },
      }));
    }
  }, 60_000);
  afterAll(async () => {
    await example.close();
    await rm(folder, { recursive: true });
  });

  it('says of which case it was, by what it was made, and is made again by the version that did', async () => {
    expect((await aios('runs', runId)).code).toBe(1);
    const { entry, again } = (await json('audit', String(index), '--again')) as unknown as {
      entry: { payload: JsonObject };
      again: JsonObject;
    };
    expect(entry.payload).toMatchObject({
      version: 1,
      event: { id: event.id, source: event.source },
      madeWith: expect.arrayContaining([
        expect.stringMatching(/^workflow\/returns@1#sha256:/),
        expect.stringMatching(/^model\/return-risk@1#sha256:/),
      ]),
    });
    expect(again).toMatchObject({ version: 1, same: true });
    const prices = join(folder, 'costs.csv');
    await aios('costs', '--focus', prices, '--of-run', runId);
    expect(await readFile(prices, 'utf8')).toContain(`return-risk@1`);
  });

  describe('and with nothing but a copy in hand', () => {
    let key: string;
    const offline = (...args: string[]) =>
      runCommand([
        '--url',
        'http://127.0.0.1:1',
        '--data-dir',
        folder,
        ...args,
        '--from',
        copy,
        '--log-key',
        key,
      ]);

    beforeAll(async () => {
      const copied = await json('audit', '--export', copy, '--payloads');
      expect(copied).toMatchObject({ payloads: copied.size, erased: 0, models: 1 });
      key = join(folder, 'kept.vkey');
      await writeFile(key, await readFile(join(copy, 'log.vkey')));
    });

    it('goes on from a checkpoint that was kept, or says that it does not', async () => {
      const kept = join(folder, 'kept.checkpoint');
      await writeFile(kept, await readFile(join(copy, 'checkpoint')));
      await json('keys', '--create', 'later'); // one more entry
      await vi.waitFor(async () => {
        const found = await json('verify', '--log-key', key, '--checkpoint', kept);
        expect(Number(found.size)).toBeGreaterThan(Number(found.continues));
      }, 20_000);
      const { said } = await aios('verify', '--log-key', key, '--checkpoint', kept);
      expect(said).toContain('It goes on from the ');
      const earlier = join(folder, 'earlier');
      await json('audit', '--export', earlier); // now the longer one is what was kept
      const shorter = await offline('verify', '--checkpoint', join(earlier, 'checkpoint'));
      expect(shorter).toEqual({ code: 1, said: expect.stringContaining('it does not go on from the') });
    });

    it('has the file of the model, by its digest', async () => {
      const file = await readFile(join(copy, 'models', 'return-risk@1'));
      const { said } = await offline('audit', String(index));
      expect(said).toContain(`model/return-risk@1#sha256:${createHash('sha256').update(file).digest('hex')}`);
      const path = join(copy, 'models', 'return-risk@1');
      await writeFile(path, Buffer.from(file).fill(1, 100, 101));
      const other = await offline('verify');
      await writeFile(path, file);
      expect(other).toEqual({ code: 1, said: expect.stringContaining('model return-risk@1 is not the one') });
      expect((await offline('verify')).code).toBe(0);
    });

    it('is found, shown, proved and made again', async () => {
      expect((await offline('audit', '--of', `run:${runId}`)).said).toMatch(/decision decided/);
      const [, , more, ...behind] = (await offline('audit', '--limit', '1')).said.split('\n');
      expect(more).toContain('There are more than this one: --limit 10 shows more');
      expect(behind).toEqual(['']);
      const { code, said } = await offline('audit', String(index), '--again');
      expect([code, said]).toEqual([0, expect.stringContaining(`"id": "${event.id}"`)]);
      expect(said).toContain('payload agrees with the digest in the entry');
      expect(said).toContain('decided again by version 1: the same');
      expect((await offline('verify')).said).toMatch(/ payloads agree with their entries; 0 were erased\./);
      expect((await offline('audit', '999999')).said).toContain('ledger.not_found');
    });

    it.each([
      [
        'a payload',
        'payloads.jsonl',
        /"outcome\\":\\"refund/,
        '"outcome\\":\\"refuse',
        ['verify'],
        /payload of entry \d+ is not the one/,
      ],
      [
        'its payload',
        'payloads.jsonl',
        /"outcome\\":\\"refund/g,
        '"outcome\\":\\"refuse',
        ['audit', 'INDEX'],
        /does NOT agree/,
      ],
      [
        'the table',
        'definitions/decision/return-policy@1.json',
        /"refund"/,
        '"refuse"',
        ['audit', 'INDEX', '--again'],
        /is NOT the one that decided/,
      ],
      ['the key', 'log.vkey', /.*/, '', ['verify'], /holds/], // the one that was kept counts
      ['the checkpoint', 'checkpoint', /\n\d+\n/, '\n1\n', ['audit', 'INDEX'], /./],
    ])('%s that was changed is noticed', async (_, file, found, put, command, said) => {
      const path = join(copy, file);
      const whole = await readFile(path, 'utf8');
      const other = whole.replace(found, put);
      expect(other).not.toBe(whole);
      await writeFile(path, other);
      const answer = await offline(...command.map((word) => (word === 'INDEX' ? String(index) : word)));
      await writeFile(path, whole);
      expect(answer).toEqual({ code: file === 'log.vkey' ? 0 : 1, said: expect.stringMatching(said) });
    });

    it('an entry that was taken over is noticed in a list, a second payload and one that is hidden as erased by verify', async () => {
      const { items } = await json('audit', '--from', copy, '--log-key', key, '--limit', '1');
      const size = Number(items[0]!.index) + 1;
      const bundle = join(copy, tilePath('entries', Math.floor(index / 256), Math.min(256, size)));
      const whole = await readFile(bundle);
      const run = Buffer.from(runId);
      const other = Buffer.from(whole);
      other.write(`${runId.slice(0, -1)}_`, other.indexOf(run));
      await writeFile(bundle, other);
      const listed = await offline('audit', '--of', `run:${runId}`);
      await writeFile(bundle, whole);
      expect(listed).toEqual({ code: 1, said: expect.stringContaining('The log does NOT hold') });
      const payloads = join(copy, 'payloads.jsonl');
      const lines = await readFile(payloads, 'utf8');
      await writeFile(payloads, `{"index":${index},"payloadSalt":"","payloadText":"{}"}\n${lines}`);
      const verified = await offline('verify');
      const hidden = new RegExp(`^\\{"index":${index},.*$`, 'm');
      await writeFile(payloads, lines.replace(hidden, `{"index":${index},"erased":true}`));
      const erased = await offline('verify');
      await writeFile(payloads, lines);
      expect(verified).toEqual({ code: 1, said: expect.stringContaining('more than one payload of entry') });
      expect(erased).toEqual({
        code: 1,
        said: expect.stringContaining('the log has no entry of an erasure'),
      });
    });

    it('a copy without payloads says what it lacks', async () => {
      const bare = join(folder, 'bare');
      await json('audit', '--export', bare);
      const shown = await runCommand(['audit', String(index), '--from', bare]);
      expect(shown).toEqual({ code: 0, said: expect.stringContaining('payload not in this copy') });
      expect((await runCommand(['audit', String(index), '--from', bare, '--again'])).code).toBe(1);
    });
  });
});
