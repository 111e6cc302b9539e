import { beforeAll, describe, expect, it, vi } from 'vitest';
import { runCli } from '../cli/program.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { type RequestOptions, returnRequested } from './api-under-test.ts';
import { openedApi } from './opened-api-under-test.ts';

describe('the API of replays', () => {
  const { api, database } = openedApi('replayPollMs=50,consumerPollMs=20');
  beforeAll(async () => {
    const events = [1, 2, 3, 20, 30].map((amount) => returnRequested(`r-${amount}`, amount));
    await api.request({
      method: 'POST',
      url: '/api/v1/events',
      role: 'operator',
      body: events as unknown as Json,
      headers: { 'content-type': 'application/cloudevents-batch+json' },
    });
    await vi.waitFor(async () => expect(await runs()).toHaveLength(5));
  });

  const runs = async (): Promise<{ id: string; status: string }[]> =>
    (await api.request({ url: '/api/v1/runs?workflow=returns&limit=100', role: 'viewer' })).json().items;
  const replay = (body: Json, role: RequestOptions['role'] = 'operator', key?: string) =>
    api.request({
      method: 'POST',
      url: '/api/v1/events/replays',
      role,
      body,
      headers: key ? { 'idempotency-key': key } : {},
    });
  const view = async (id: string) =>
    (await api.request({ url: `/api/v1/events/replays/${id}`, role: 'viewer' })).json();
  const recorded = async () => {
    const rows = await database.db.query<{ entry: string }>('select entry from audit_entries order by seq');
    return rows
      .map(({ entry }) => JSON.parse(entry) as { kind: string; action: string; object: string })
      .filter(({ kind }) => kind === 'events')
      .map(({ action, object }) => `${action} ${object}`);
  };
  const flow = { workflow: 'returns' };

  it('counts without doing anything, by type, time and filter', async () => {
    const count = async (more: JsonObject) => (await replay({ target: flow, dryRun: true, ...more })).json();
    expect(await count({})).toMatchObject({ events: 5, isExact: true });
    expect(await count({ filter: 'data.amount > 2.0' })).toMatchObject({ events: 3, isExact: true });
    expect(await count({ types: ['return.requested'] })).toMatchObject({ events: 5 });
    expect(await count({ types: ['other'] })).toMatchObject({ events: 0 });
    expect(await count({ from: { time: '2100-01-01T00:00:00Z' } })).toMatchObject({ events: 0 });
    expect(await count({ until: { time: '2100-01-01T00:00:00Z' } })).toMatchObject({ events: 5 });
    expect(await runs()).toHaveLength(5);
    expect(await recorded()).toEqual([]);
  });

  it('starts runs of one flow, marked and once, on record', async () => {
    const before = new Set((await runs()).map(({ id }) => id));
    const body = { target: flow, filter: 'data.amount > 2.0 && data.amount < 25.0' };
    const first = await replay(body, 'operator', 'again');
    expect(first.json()).toMatchObject({ events: 2, id: expect.stringMatching(/^rpl_/) });
    expect((await replay(body, 'operator', 'again')).json().id).toBe(first.json().id);
    await vi.waitFor(async () =>
      expect(await view(first.json().id)).toMatchObject({ status: 'completed', handled: 2, remaining: 0 }),
    );
    const added = (await runs()).filter(({ id }) => !before.has(id));
    expect(added).toHaveLength(2);
    const run = (await api.request({ url: `/api/v1/runs/${added[0]!.id}`, role: 'viewer' })).json();
    expect(JSON.stringify(run)).toContain(first.json().id);
    expect(await recorded()).toEqual(['replayed workflow:returns']);
    const groups = (await api.request({ url: '/api/v1/consumer-groups', role: 'viewer' })).json().items;
    expect(groups.map(({ group, lag }: { group: string; lag: number }) => [group, lag])).toEqual([
      ['workflows', 0],
    ]);
  });

  it('is refused to who may not, for flows and consumers that are none, and for ranges that are none', async () => {
    expect((await replay({ target: flow }, 'viewer')).statusCode).toBe(403);
    expect((await replay({ target: { workflow: 'none' } })).json().code).toBe('workflow.not_found');
    expect((await replay({ target: { consumer: 'workflows' } })).json().code).toBe('events.unknown_consumer');
    expect((await replay({ target: flow, filter: 'data.' })).json().code).toBe('expression.syntax');
    expect((await replay({ target: flow, from: { offsets: [1] } })).json().code).toBe(
      'events.position_invalid',
    );
    const backwards = { from: { time: '2100-01-01T00:00:00Z' }, until: { time: '2000-01-01T00:00:00Z' } };
    expect((await replay({ target: flow, ...backwards })).json().code).toBe('events.position_invalid');
    expect((await replay({ target: flow, reset: true })).json().code).toBe('events.position_invalid');
    expect((await api.request({ url: '/api/v1/events/replays/none', role: 'viewer' })).json().code).toBe(
      'events.unknown_replay',
    );
  });

  it('is asked for on the command line, which counts first', async () => {
    const url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    const printed: string[] = [];
    const hear = (text: unknown) => printed.push(String(text)) > 0;
    const out = vi.spyOn(process.stdout, 'write').mockImplementation(hear as typeof process.stdout.write);
    const aios = (...args: string[]) =>
      runCli(
        ['--url', url.replace('127.0.0.1', 'localhost'), '--key', api.keys.operator, 'events', ...args],
        async () => 1,
      );
    await aios('replay', '--workflow', 'returns', '--filter', 'data.amount == 1.0');
    await aios('replay', '--workflow', 'returns', '--from', '2100-01-01', '--yes');
    await aios('replays');
    await aios('groups');
    await aios('segments');
    await aios('search', '--filter', 'data.amount == 3.0', '--from', '2026-01-01');
    out.mockRestore();
    expect(printed[0]).toBe('1 events would be replayed; --yes does it\n');
    expect(printed[1]).toMatch(/^rpl_\w+: 0 events are replayed\n$/);
    expect(printed[2]).toMatch(/flow returns +completed +2 +0/);
    expect(printed[3]).toMatch(/workflows +0 +1/);
    expect(printed[4]).toMatch(/^SEGMENT +SINCE +MIB +NOT READ BY\n +1 .*0\.0/);
    expect(printed[5]).toMatch(/return\.requested +r-3 +urn:shop +\d\/\d+\n$/);
  });
});
