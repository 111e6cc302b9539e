import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '../kernel/json.ts';
import { returnRequested } from './api-under-test.ts';
import { openedApi } from './opened-api-under-test.ts';

interface Told {
  id: string;
  event: string;
  data: { id: string; data: { amount: number } };
}

describe('the log as server-sent events', () => {
  const { api, database } = openedApi('consumerPollMs=20,streamHeartbeatMs=50');
  let url: string;
  beforeAll(async () => {
    url = await api.server.listen({ host: '127.0.0.1', port: 0 });
  });
  const post = async (from: number, count: number, note = '') => {
    const events = Array.from({ length: count }, (_, n) => ({
      ...returnRequested(`s${from + n}`, from + n),
      data: { amount: from + n, note },
    }));
    const response = await api.request({
      method: 'POST',
      url: '/api/v1/events',
      role: 'operator',
      body: events as unknown as Json,
      headers: { 'content-type': 'application/cloudevents-batch+json' },
    });
    expect(response.json()).toMatchObject({ accepted: count });
  };

  /** A reader as browsers are: it knows the last id, and says it when it comes back. */
  async function open(query = '', lastId?: string) {
    const ended = new AbortController();
    const response = await fetch(`${url}/api/v1/events/stream${query}`, {
      headers: {
        authorization: `Bearer ${api.keys.viewer}`,
        ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
      },
      signal: ended.signal,
    });
    const told: Told[] = [];
    const state = { lastId: '', comments: 0 };
    const reading = (async () => {
      let text = '';
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const blocks = text.split('\n\n');
        text = blocks.pop()!;
        for (const block of blocks) {
          const fields = new Map(
            block
              .split('\n')
              .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
          );
          if (block.startsWith(':')) state.comments++;
          state.lastId = fields.get('id') ?? state.lastId;
          const [event, data] = [fields.get('event'), fields.get('data')];
          if (event && data) told.push({ id: state.lastId, event, data: JSON.parse(data) });
        }
      }
    })().catch(() => {});
    const close = async () => {
      ended.abort();
      await reading;
    };
    return { response, told, state, close };
  }
  const until = async (isSo: () => boolean) => {
    while (!isSo()) await sleep(5);
  };

  it('tells what comes, selected by type and filter, and goes on after the last id', async () => {
    const reader = await open('?type=return.requested,other&filter=data.amount%20%3E%3D%205.0');
    expect(reader.response.headers.get('content-type')).toBe('text/event-stream');
    await post(0, 20);
    await until(() => reader.told.length === 15);
    expect(reader.told.map(({ data }) => data.data.amount).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 15 }, (_, n) => n + 5),
    );
    await until(() => reader.state.comments > 0);
    const at = reader.told[9]!.id;
    await reader.close();
    await post(100, 10);
    const again = await open('', at);
    await until(() => again.told.some(({ data }) => data.id === 's109') && again.told.length >= 15);
    await sleep(50);
    const seen = new Set(reader.told.slice(0, 10).map(({ data }) => data.id));
    expect(again.told.filter(({ data }) => seen.has(data.id))).toEqual([]);
    expect(new Set(again.told.map(({ data }) => data.id)).size).toBe(again.told.length);
    await again.close();
  });

  it('tells a reader whose filter takes nothing how far it has come', async () => {
    const reader = await open('?filter=false');
    const before = await database.db.query<{ sum: number }>(
      'select sum(next_offset)::int as sum from event_partitions',
    );
    await post(200, 5);
    const reached = () =>
      reader.state.lastId
        .split('.')
        .map(Number)
        .reduce((sum, offset) => sum + offset, 0);
    await until(() => reached() === before[0]!.sum + 5);
    expect(reader.told).toEqual([]);
    await reader.close();
  });

  it('reads nothing for a reader who takes nothing, and brings it all when it does', async () => {
    const ended = new AbortController();
    const slow = await fetch(`${url}/api/v1/events/stream`, {
      headers: { authorization: `Bearer ${api.keys.viewer}` },
      signal: ended.signal,
    });
    const note = 'x'.repeat(10_000);
    for (let round = 0; round < 20; round++) await post(1000 + round * 50, 50, note);
    await sleep(200);
    let bytes = 0;
    const ids = new Set<string>();
    let text = '';
    for await (const chunk of slow.body!.pipeThrough(new TextDecoderStream())) {
      bytes += chunk.length;
      text += chunk;
      const blocks = text.split('\n\n');
      text = blocks.pop()!;
      for (const block of blocks) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data) ids.add((JSON.parse(data) as { id: string }).id);
      }
      if (ids.size === 1000) break;
    }
    expect(bytes).toBeGreaterThan(10_000_000);
    expect(ids.size).toBe(1000);
    ended.abort();
  });

  it('is refused for a filter, an id or a key that is none', async () => {
    const code = async (query: string, role: 'viewer' | undefined = 'viewer') =>
      (await api.request({ url: `/api/v1/events/stream${query}`, role })).json().code;
    expect(await code('?filter=data.')).toBe('expression.syntax');
    expect(await code('?after=1.2')).toBe('request.invalid');
    expect(await code(`?after=${new Array(8).fill(1_000_000).join('.')}`)).toBe('request.invalid');
    expect((await api.request({ url: '/api/v1/events/stream' })).statusCode).toBe(401);
  });
});

describe('a server that stops', () => {
  const { api, database } = openedApi();

  it('ends the streams whose requests were under way when it began to', async () => {
    const url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    const headers = { authorization: `Bearer ${api.keys.viewer}` };
    const open = () => fetch(`${url}/api/v1/events/stream`, { headers });
    const standing = await open();
    const [held, free] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const holding = database.db.transaction(async (tx) => {
      await tx.query('lock table event_head in access exclusive mode');
      held.resolve();
      await free.promise;
    });
    await held.promise;
    const opening = open();
    const waits = `select from pg_locks where not granted and relation = 'event_head'::regclass`;
    while ((await database.db.query(waits)).length === 0) await sleep(5);
    const closing = api.server.close();
    expect(await standing.text()).toBe('retry: 2000\n\n'); // it has begun to
    free.resolve();
    await holding;
    expect(await (await opening).text()).toBe('retry: 2000\n\n');
    await closing;
  });
});
