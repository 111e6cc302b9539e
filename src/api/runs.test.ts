import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { Json } from '../kernel/json.ts';
import { type RequestOptions, returnRequested } from './api-under-test.ts';
import { openedApi, problemOf } from './opened-api-under-test.ts';

const CLOUD_EVENT = { 'content-type': 'application/cloudevents+json' };

describe('the API runs flows', () => {
  const { api } = openedApi();
  const problem = (options: RequestOptions) => problemOf(api, options);

  const start = (name: string, query: string, body: Json, headers = {}) =>
    api.request({
      method: 'POST',
      url: `/api/v1/workflows/${name}/runs${query}`,
      role: 'operator',
      body,
      headers,
    });

  it('and answers with the output when it is waited for, else with the run', async () => {
    const waited = await start('greet', '?wait=5s', { input: { name: 'Ann' } });
    expect([waited.statusCode, waited.json()]).toMatchObject([
      200,
      { status: 'completed', output: { hello: 'Ann' } },
    ]);
    const started = await start('greet', '', { input: { name: 'Bob' } }, { 'idempotency-key': 'k1' });
    const again = await start('greet', '', { input: { name: 'Bob' } }, { 'idempotency-key': 'k1' });
    expect([started.statusCode, again.json().id]).toEqual([202, started.json().id]);
  });

  it('and says when a run refers to no such value', async () => {
    const { id } = (await start('greet', '?wait=5s', { input: { name: 'Cy' } })).json();
    const at = (digest: string) => problem({ url: `/api/v1/runs/${id}/payloads/${digest}`, role: 'viewer' });
    expect(await at('a'.repeat(64))).toMatchObject({ status: 404, code: 'workflow.payload_missing' });
    expect(await at('../x')).toMatchObject({ status: 404 });
    expect(await at('abc')).toMatchObject({ status: 400 });
  });

  it('by an event, asks a person, takes the answer and ends: the same event is the same run', async () => {
    const waiting = (await start('returns', '?wait=5s', returnRequested('evt-1'), CLOUD_EVENT)).json();
    expect(waiting).toMatchObject({ status: 'waiting', waitingFor: 'human-task' });
    const again = (await start('returns', '?wait=5s', returnRequested('evt-1'), CLOUD_EVENT)).json();
    expect(again).toMatchObject({ id: waiting.id, position: { duplicate: true } });
    const page = await api.request({ url: `/api/v1/tasks?status=open&run=${waiting.id}`, role: 'viewer' });
    const [task] = page.json().items;
    expect(task).toMatchObject({
      title: 'A return',
      context: { amount: 30 },
      deadlineAt: expect.any(String),
    });
    expect((await api.request({ url: '/api/v1/tasks/counts', role: 'viewer' })).json().items).toMatchObject([
      { queue: 'review', open: 1 },
    ]);

    const act = (action: string, body?: Json, role: 'reviewer' | 'viewer' | 'operator' = 'reviewer') =>
      api.request({
        method: 'POST',
        url: `/api/v1/tasks/${task.id}/${action}`,
        role,
        ...(body === undefined ? {} : { body }),
      });
    expect((await act('claim', {}, 'viewer')).json()).toMatchObject({ code: 'access.forbidden' });
    expect((await act('claim')).json()).toMatchObject({ status: 'claimed', claimedBy: 'the reviewer' });
    // Who runs the system gives back what an absent person claimed, and decides nothing.
    expect((await act('release', {}, 'viewer')).json()).toMatchObject({ code: 'access.forbidden' });
    expect((await act('release', {}, 'operator')).json()).toMatchObject({ status: 'open' });
    expect((await act('claim', {}, 'operator')).json()).toMatchObject({ code: 'access.forbidden' });
    expect((await act('claim')).json()).toMatchObject({ status: 'claimed' });
    const { contextDigest } = task;
    expect((await act('complete', { result: { decision: 'x' }, contextDigest })).json()).toMatchObject({
      code: 'tasks.result_invalid',
    });
    expect(
      (await act('complete', { result: { decision: 'approve' }, contextDigest: 'no' })).json(),
    ).toMatchObject({ code: 'tasks.context_changed' });
    const done = await act('complete', { result: { decision: 'approve' }, contextDigest, minutes: 2 });
    expect(done.json()).toMatchObject({
      status: 'completed',
      decidedBy: 'the reviewer',
      result: { decision: 'approve' },
    });

    const read = () =>
      api.request({ url: `/api/v1/runs/${waiting.id}`, role: 'viewer' }).then((response) => response.json());
    await expect.poll(() => read().then(({ status }) => status)).toBe('completed');
    expect(await read()).toMatchObject({
      outcome: 'approve',
      output: { decision: 'approve' },
      event: { id: 'evt-1' },
      steps: expect.arrayContaining([
        expect.objectContaining({ name: 'ask', kind: 'wait', endedAt: expect.any(String) }),
      ]),
      graph: { nodes: expect.any(Array), edges: expect.any(Array) },
      pins: [
        { kind: 'queue', name: 'review' },
        { kind: 'workflow', name: 'returns' },
      ],
      costs: [{ service: 'people', resource: 'review', quantity: 2, amountMicroUsd: 1_000_000 }],
      costMicroUsd: 1_000_000,
    });
    const list = (
      await api.request({ url: '/api/v1/runs?workflow=returns&status=completed&q=approve', role: 'viewer' })
    ).json();
    expect(list.items).toMatchObject([{ id: waiting.id, outcome: 'approve', costMicroUsd: 1_000_000 }]);
    const search = (query: string) =>
      api.request({ url: `/api/v1/runs?${query}`, role: 'viewer' }).then((response) => response.json());
    const ranged = 'version=1&from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&attr.amount.gte=30';
    expect((await search(`attr.amount=30&${ranged}`)).items).toMatchObject([
      { id: waiting.id, attributes: { amount: 30 } },
    ]);
    expect((await search('attr.amount=31')).items).toEqual([]);
    expect(await search('attr.a.b=31')).toMatchObject({ code: 'request.invalid' });
    expect(await search('orderId=31')).toMatchObject({ code: 'request.invalid' });
  });

  it('that need no person in one call', async () => {
    const response = await start('returns', '?wait=5s', returnRequested('evt-small', 5), CLOUD_EVENT);
    expect([response.statusCode, response.json()]).toMatchObject([
      200,
      { status: 'completed', output: { decision: 'refund' }, outcome: 'refund' },
    ]);
  });

  it('can be paused, signaled and canceled, each told in the run', async () => {
    const { id } = (await start('returns', '?wait=5s', returnRequested('evt-2'), CLOUD_EVENT)).json();
    const act = (action: string, body?: Json) =>
      api.request({
        method: 'POST',
        url: `/api/v1/runs/${id}/${action}`,
        role: 'operator',
        ...(body === undefined ? {} : { body }),
      });
    expect((await act('resume')).json()).toMatchObject({ code: 'workflow.not_paused' });
    expect((await act('cancel')).json()).toMatchObject({ id, status: 'canceled' });
    expect((await act('cancel')).json()).toMatchObject({ code: 'workflow.ended' });
    const tasks = (await api.request({ url: `/api/v1/tasks?run=${id}`, role: 'viewer' })).json();
    expect(tasks.items).toMatchObject([{ status: 'canceled' }]);
    const other = (await start('returns', '?wait=5s', returnRequested('evt-3'), CLOUD_EVENT)).json();
    const [asked] = (await api.request({ url: `/api/v1/runs/${other.id}`, role: 'viewer' }))
      .json()
      .steps.slice(-1);
    const body = { name: asked.key, payload: { result: { decision: 'refuse' }, decidedBy: 'ann' } };
    const url = `/api/v1/runs/${other.id}/signal`;
    const forged = await api.request({ method: 'POST', url, role: 'operator', body });
    expect([forged.statusCode, forged.json()]).toMatchObject([409, { code: 'workflow.signal_refused' }]);
    const still = (await api.request({ url: `/api/v1/runs/${other.id}`, role: 'viewer' })).json();
    expect(still).toMatchObject({ status: 'waiting', waitingFor: 'human-task' });
  });

  it('can go back to a step with another input, and be forked, each once for a key', async () => {
    const { id } = (await start('returns', '?wait=5s', returnRequested('evt-back'), CLOUD_EVENT)).json();
    const act = (action: string, body: Json = {}, key?: string) =>
      api.request({
        method: 'POST',
        url: `/api/v1/runs/${id}/${action}`,
        role: 'operator',
        body,
        headers: { 'content-type': 'application/json', ...(key ? { 'idempotency-key': key } : {}) },
      });
    const read = (query = '') =>
      api.request({ url: `/api/v1/runs/${id}${query}`, role: 'viewer' }).then((response) => response.json());
    expect((await act('retry')).json()).toMatchObject({ code: 'workflow.not_ended' });
    expect((await act('retry', { step: { key: 'ask' } })).json()).toMatchObject({ code: 'request.invalid' });
    await act('cancel');
    const input = { queue: 'review', title: 'A return, again', context: { amount: 31 } };
    for (let times = 0; times < 2; times++)
      expect((await act('retry', { step: 'ask', input }, 'once')).json()).toMatchObject({ id, attempt: 2 });
    await expect.poll(() => read().then(({ status }) => status)).toBe('waiting');
    expect(await read()).toMatchObject({
      attempts: [{ attempt: 1, status: 'canceled', nextStep: 'ask', nextBy: expect.any(String) }],
      steps: expect.arrayContaining([expect.objectContaining({ key: 'ask', edited: true })]),
    });
    expect(await read('?attempt=1')).toMatchObject({ status: 'canceled', attempt: 1 });
    const tasks = (await api.request({ url: `/api/v1/tasks?run=${id}`, role: 'viewer' })).json();
    expect(tasks.items.map(({ status, title }: Record<string, string>) => [status, title]).sort()).toEqual([
      ['canceled', 'A return'],
      ['open', 'A return, again'],
    ]);
    const remove = (role: 'operator' | 'admin') =>
      api.request({ method: 'DELETE', url: `/api/v1/runs/${id}`, role });
    expect((await remove('operator')).json()).toMatchObject({ code: 'access.forbidden' });
    expect((await remove('admin')).json()).toMatchObject({ code: 'workflow.not_ended' });
    const forks = [await act('fork', { step: 'ask' }, 'f'), await act('fork', { step: 'ask' }, 'f')];
    expect(forks.map(({ statusCode }) => statusCode)).toEqual([201, 201]);
    const fork = forks[1]!.json();
    expect(fork).toMatchObject({ forkedFrom: { runId: id, step: 'ask', attempt: 2 } });
    expect(await read()).toMatchObject({ forks: [fork.id] });
    expect((await act('fork', { step: 'none' })).json()).toMatchObject({ code: 'workflow.step_not_reached' });
    await act('cancel');
    expect((await remove('admin')).statusCode).toBe(204);
    expect(await read()).toMatchObject({ code: 'workflow.run_not_found' });
  });

  it('can be acted on together: counted, then by the token of the count', async () => {
    const ids = [];
    for (const n of [1, 2])
      ids.push((await start('returns', '?wait=5s', returnRequested(`evt-b${n}`, 77), CLOUD_EVENT)).json().id);
    const post = (url: string, body: Json, role: 'operator' | 'viewer' | 'admin' = 'operator') =>
      api.request({ method: 'POST', url: `/api/v1/bulk-operations${url}`, role, body });
    const prepare = { action: 'cancel', filter: { workflow: 'returns', attributes: { 'amount.gte': '77' } } };
    expect((await post('', prepare, 'viewer')).json()).toMatchObject({ code: 'access.forbidden' });
    expect((await post('', { ...prepare, action: 'delete' })).json()).toMatchObject({
      code: 'access.forbidden',
    });
    const prepared = (await post('', prepare)).json();
    expect(prepared).toMatchObject({ count: 2, status: 'prepared', token: expect.any(String) });
    expect((await post(`/${prepared.id}/start`, { token: 'x' })).json()).toMatchObject({
      code: 'workflow.bulk_stale',
    });
    expect((await post(`/${prepared.id}/start`, { token: prepared.token })).statusCode).toBe(202);
    const read = (url = '') =>
      api
        .request({ url: `/api/v1/bulk-operations${url}`, role: 'viewer' })
        .then((response) => response.json());
    await expect.poll(() => read(`/${prepared.id}`).then(({ status }) => status)).toBe('completed');
    expect((await read()).items[0]).toMatchObject({ id: prepared.id, done: 2, by: { kind: 'key' } });
    expect(JSON.stringify(await read())).not.toContain(prepared.token);
    for (const id of ids)
      await expect
        .poll(() => api.request({ url: `/api/v1/runs/${id}`, role: 'viewer' }).then((r) => r.json().status))
        .toBe('canceled');
  });

  it.each<[string, string, Json, Record<string, string>, string]>([
    ['an unknown flow', 'none', { input: {} }, {}, 'workflow.not_found'],
    ['a body that is not {input}', 'greet', { name: 'Ann' }, {}, 'request.invalid'],
    [
      'an event outside its contract',
      'returns',
      returnRequested('bad', 'much'),
      CLOUD_EVENT,
      'contracts.data_invalid',
    ],
    [
      'an event of a type without a contract',
      'returns',
      { ...returnRequested('x'), type: 'other' },
      CLOUD_EVENT,
      'contracts.unknown_type',
    ],
    [
      'an event that the flow does not start on',
      'greet',
      returnRequested('x'),
      CLOUD_EVENT,
      'request.invalid',
    ],
    ['a media type that is neither', 'greet', 'x', { 'content-type': 'text/plain' }, 'request.media_type'],
    ['a wait that is not a duration', 'greet?', {}, {}, 'definition.duration'],
  ])('never from %s', async (_, name, body, headers, code) => {
    const url = name.endsWith('?')
      ? `/api/v1/workflows/greet/runs?wait=soon`
      : `/api/v1/workflows/${name}/runs`;
    expect(await problem({ method: 'POST', url, role: 'operator', body, headers })).toMatchObject({ code });
  });

  it('of a flow that is drawn as nodes and edges, or as a Mermaid flowchart', async () => {
    const graphOf = (name: string, query = '') =>
      api.request({ url: `/api/v1/workflows/${name}/graph${query}`, role: 'viewer' });
    expect((await graphOf('greet')).json()).toMatchObject({ edges: [{ from: 'start' }, {}] });
    expect((await graphOf('greet', '?format=mermaid')).json().mermaid).toMatch(/^flowchart TD\n {2}n0\(\["/);
    expect((await graphOf('greet', '?format=dot')).statusCode).toBe(400);
  });

  it('and the audit log shows who decided, in the paths of tlog-tiles, the payload only to those who may see it', async () => {
    const get = (url: string, role: 'viewer' | 'admin' = 'viewer') =>
      api.request({ url: `/api/v1/${url}`, role });
    const list = (url = 'audit/entries') => get(url).then((response) => response.json().items);
    // Entries are put in order a moment after what they tell, and this is the last of the task's.
    const actions = async () =>
      (await list('audit/entries?kind=task')).map(({ action }: { action: string }) => action);
    await expect.poll(actions).toContain('completed');
    const entries: { action: string }[] = await list('audit/entries?kind=task');
    const [claimed, entry] = ['claimed', 'completed'].map(
      // biome-ignore lint/suspicious/noExplicitAny: an answer of the API as it comes
      (wanted): any => entries.find(({ action }) => action === wanted),
    );
    expect(claimed).toMatchObject({ object: expect.stringContaining('task:') });
    expect(entry).toMatchObject({
      kind: 'task',
      action: 'completed',
      object: expect.stringContaining('run:'),
    });
    expect((await get(`audit/entries/${entry.index}`)).json()).toEqual(entry);
    expect((await get(`audit/entries/${entry.index}`, 'admin')).json()).toMatchObject({
      payload: { result: { decision: 'approve' } },
    });
    expect(await list(`audit/entries?object=${entry.object}`)).toEqual([entry]);
    expect((await get('audit/checkpoint')).headers['content-type']).toContain('text/plain');
    expect((await get('audit/key')).json()).toMatchObject({ name: 'aios.test/audit' });
    const [tile, bundle] = [await get('audit/tile/0/000.p/1'), await get('audit/tile/entries/000.p/1')];
    expect([tile.rawPayload.length, bundle.statusCode, tile.headers['cache-control']]).toEqual([
      32,
      200,
      'no-cache',
    ]);
    for (const path of ['0/001', '0/x', 'entries/000.p/0', '0/000.p/257'])
      expect((await get(`audit/tile/${path}`)).statusCode).toBe(404);
    expect((await get(`audit/proof?index=${entry.index}`)).json()).toMatchObject({
      leafHash: entry.leafHash,
    });
    expect((await get('audit/entries?cursor=x')).json()).toMatchObject({ code: 'request.invalid' });
    const lineage = (await get(`lineage?run=${entry.object.slice('run:'.length)}`)).json();
    expect(lineage.nodes.map(({ kind }: { kind: string }) => kind)).toEqual([
      'event',
      'queue',
      'workflow',
      'run',
    ]);
    expect((await get('costs')).json().items).toMatchObject([{ key: 'people', amountMicroUsd: 1_000_000 }]);
    expect((await get('costs?groupBy=moon')).json()).toMatchObject({ code: 'request.invalid' });
  });

  it('streams a run until it has ended, and what happens now', async () => {
    const address = await api.server.listen({ host: '127.0.0.1', port: 0 });
    const open = (path: string) => readEvents(`${address}/api/v1/${path}`, api.keys.viewer);
    const live = await open('stream');
    expect(await live.next()).toMatchObject({ event: 'stats', data: { tasksOpen: 0 } });
    const { id } = (
      await api.request({
        method: 'POST',
        url: '/api/v1/workflows/returns/runs?wait=5s',
        role: 'operator',
        body: returnRequested('evt-s'),
        headers: CLOUD_EVENT,
      })
    ).json();
    expect(await live.until('task')).toMatchObject({ status: 'open', queue: 'review' });
    const run = await open(`runs/${id}/stream`);
    expect(await run.next()).toMatchObject({ event: 'run', data: { id, status: 'waiting' } });
    await api.request({ method: 'POST', url: `/api/v1/runs/${id}/cancel`, role: 'operator' });
    const rest = await run.rest();
    expect(rest.at(-1)).toMatchObject({ event: 'run', data: { status: 'canceled' } });
    await live.close();
    expect(await problem({ url: '/api/v1/runs/run_none/stream', role: 'viewer' })).toMatchObject({
      code: 'workflow.run_not_found',
    });
  });

  it('met no fault of its own', () => expect(api.faults).toEqual([]));

  it('by an event that says no time, which is the same run each time that it comes', async () => {
    const { time: _, ...event } = returnRequested('evt-timeless', 3) as { time?: string };
    const first = (await start('returns', '?wait=5s', event as Json, CLOUD_EVENT)).json();
    expect(first).toMatchObject({ status: 'completed', position: { duplicate: false } });
    await new Promise((resolve) => setTimeout(resolve, 5)); // another millisecond, which is another time
    for (const wait of ['?wait=5s', '']) {
      const again = (await start('returns', wait, event as Json, CLOUD_EVENT)).json();
      expect(again).toMatchObject({ id: first.id, position: { duplicate: true } });
    }
  });
});

async function readEvents(url: string, key: string) {
  const { body } = await request(url, { headers: { authorization: `Bearer ${key}` } });
  const chunks = body.setEncoding('utf8')[Symbol.asyncIterator]();
  let buffer = '';
  const next = async (): Promise<{ event: string; data: Json } | undefined> => {
    for (;;) {
      const end = buffer.indexOf('\n\n');
      if (end >= 0) {
        const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(buffer.slice(0, end)) ?? [];
        buffer = buffer.slice(end + 2);
        if (event) return { event, data: JSON.parse(data!) };
        continue;
      }
      const { done, value } = await chunks.next();
      if (done) return undefined;
      buffer += value;
    }
  };
  return {
    next,
    async until(event: string) {
      for (;;) {
        const message = await next();
        if (!message || message.event === event) return message?.data;
      }
    },
    async rest() {
      const messages: { event: string; data: Json }[] = [];
      for (let message = await next(); message; message = await next()) messages.push(message);
      return messages;
    },
    close: () => body.destroy(),
  };
}
