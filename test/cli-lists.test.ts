import { beforeAll, describe, expect, it, vi } from 'vitest';
import { returnRequested } from '../src/api/api-under-test.ts';
import { openedApi } from '../src/api/opened-api-under-test.ts';
import { runCommand } from './command-line.ts';

const COUNT = 5;

describe('a list of the command line that is longer than what is shown', () => {
  const { api, database } = openedApi();
  let url = '';
  let webhook = '';
  const aios = (...args: string[]) => runCommand(['--url', url, '--key', api.keys.admin, ...args]);
  const json = async (...args: string[]) => JSON.parse((await aios('--json', ...args)).said);

  beforeAll(async () => {
    url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    const post = (event: object) =>
      api.request({ method: 'POST', url: '/api/v1/events', role: 'operator', body: event as never });
    for (let n = 0; n < COUNT; n++) {
      await post(returnRequested(`listed-${n}`, 30));
      const { id } = await json('keys', '--create', `ended ${n}`);
      await aios('keys', id, '--revoke');
    }
    await database.db.query(
      `insert into quarantined_events (id, contract, version, event, problem, arrived_at, status)
       select 'q' || n, 'return.requested', '1.0.0', '{"id":"e","source":"s"}', '{"detail":"no"}', now(), 'open' from generate_series(1, ${COUNT}) n`,
    );
    webhook = (await json('webhooks', '--create', 'https://example.com/hook')).id;
    await database.db.query(
      `insert into webhook_deliveries (id, webhook, partition, log_offset, event, attempts, next_at, status, response, detail, first_at, last_at)
       select 'd' || n, $1, 0, n, '{"type":"a","id":"e"}', 1, now(), 'failed', 500, 'no', now(), '2026-01-01'::timestamptz + (n / 2) * interval '1 s'
       from generate_series(1, ${COUNT}) n`,
      [webhook],
    );
    await vi.waitFor(async () => {
      expect((await json('inbox')).items).toHaveLength(COUNT);
      expect((await json('audit')).items.length).toBeGreaterThanOrEqual(COUNT);
    }, 20_000);
  }, 60_000);

  it.each([
    ['runs', 'or narrow the list by --workflow'],
    ['inbox', 'or narrow the list by --queue'],
    ['events search', 'or narrow the list by --type'],
    ['quarantine', 'or narrow the list by --type'],
    ['audit', 'or narrow the list by --of'],
    ['keys --ended', ''],
    ['webhooks WEBHOOK', ''],
  ])('says that there is more, and how to see it: aios %s', async (command, narrowing) => {
    const words = command.replace('WEBHOOK', webhook).split(' ');
    const { code, said } = await aios(...words, '--limit', '2');
    expect(code).toBe(0);
    expect(said).toContain('There are more than these 2: --limit 20 shows more');
    expect(said).toContain(narrowing);
    expect(said.trim().split('\n')).toHaveLength(4);
    expect((await aios(...words, '--limit', '500')).said).not.toContain('There are more');
    const two = await json(...words, '--limit', '2');
    expect([two.items.length, typeof two.nextCursor]).toEqual([2, 'string']);
  });

  it.each(['0', '-1', '2.5', 'all', ''])('takes no limit of “%s”', async (limit) => {
    expect(await aios('runs', '--limit', limit)).toEqual({
      code: 1,
      said: expect.stringMatching(/--limit takes a (whole )?number.*request\.invalid/s),
    });
  });

  it('is read in pages where more are asked for than one of them has, each item once', async () => {
    await database.db.query(
      `insert into webhook_deliveries (id, webhook, partition, log_offset, event, attempts, next_at, status, response, detail, first_at, last_at)
       select 'm' || n, $1, 0, n, '{"type":"a","id":"e"}', 1, now(), 'failed', 500, 'no', now(), '2025-01-01'::timestamptz + (n / 3) * interval '1 s'
       from generate_series(1, 700) n`,
      [webhook],
    );
    const all = await json('webhooks', webhook, '--limit', '9000');
    expect(new Set(all.items.map(({ id }: { id: string }) => id)).size).toBe(700 + COUNT);
    expect([all.items.length, all.nextCursor]).toEqual([700 + COUNT, null]);
    const some = await json('webhooks', webhook, '--limit', '600');
    expect([some.items.length, typeof some.nextCursor]).toEqual([600, 'string']);
  });
});
