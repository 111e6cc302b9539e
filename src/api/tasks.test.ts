import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type RequestOptions, returnRequested } from './api-under-test.ts';
import { openedApi } from './opened-api-under-test.ts';

const ASKING = {
  name: 'asking',
  title: 'To look at',
  form: { type: 'object' },
  allowReturn: true,
  candidateGroups: ['returns'],
};
// biome-ignore-start lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
/** Asks until nothing is sent back; the requester answers with an event. */
const LOOP = `
document: { dsl: '1.0.0', namespace: test, name: asking, version: '1.0.0' }
evaluate: { language: cel }
do:
  - ask:
      call: human-task:1@default
      with:
        queue: asking
        title: A claim
        context: { said: '\${ has(input.said) ? input.said : "nothing" }' }
        continues: '\${ has(input.before) ? input.before : null }'
  - route: { switch: [{ back: { when: input.returned, then: wait } }, { done: { then: end } }] }
  - wait: { set: { said: '\${ "answer to: " + input.message }', before: '\${ input.taskId }' }, then: ask }
`;
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above

describe('the API of tasks in hand', () => {
  const { api } = openedApi();
  let task: { id: string; contextDigest: string };

  const send = async (options: RequestOptions) => (await api.request(options)).json();
  const post = (path: string, body: object, role: RequestOptions['role'] = 'reviewer') =>
    send({ method: 'POST', url: `/api/v1/tasks/${path}`, role, body: body as never });
  const ids = async () => {
    const { items } = await send({ url: '/api/v1/keys', role: 'admin' });
    return Object.fromEntries(items.map(({ name, id }: { name: string; id: string }) => [name, id]));
  };

  beforeAll(async () => {
    await send({ method: 'POST', url: '/api/v1/events', role: 'operator', body: returnRequested('t-1') });
    task = await vi.waitFor(async () => {
      const [first] = (await send({ url: '/api/v1/tasks', role: 'viewer' })).items;
      expect(first).toBeDefined();
      return first;
    });
  });

  it('hands tasks on: delegated, handed back, assigned by who may', async () => {
    const { 'the admin': admin, 'the reviewer': reviewer } = await ids();
    expect(await post(`${task.id}/delegate`, { to: admin })).toMatchObject({ code: 'tasks.not_claimed' });
    await post(`${task.id}/claim`, {});
    expect(await post(`${task.id}/delegate`, { to: admin, message: 'Yours?' })).toMatchObject({
      claimedById: admin,
      ownerId: reviewer,
      owner: 'the reviewer',
    });
    expect(await post(`${task.id}/hand-back`, {}, 'admin')).toMatchObject({ claimedById: reviewer });
    expect(await post(`${task.id}/assign`, { to: admin })).toMatchObject({ code: 'access.forbidden' });
    expect(await post(`${task.id}/assign`, { to: admin }, 'operator')).toMatchObject({ claimedById: admin });
    expect(await post(`${task.id}/release`, {}, 'operator')).toMatchObject({ status: 'open' });
    const candidates = await send({ url: `/api/v1/tasks/${task.id}/candidates`, role: 'viewer' });
    expect(candidates.items.map(({ name }: { name: string }) => name)).toEqual(['the admin', 'the reviewer']);
  });

  it('puts tasks off and makes them more pressing', async () => {
    const put = (path: string, body: object, role: RequestOptions['role']) =>
      send({ method: 'PUT', url: `/api/v1/tasks/${task.id}/${path}`, role, body: body as never });
    const mine = async () =>
      (await send({ url: '/api/v1/tasks?status=waiting&forMe=true', role: 'reviewer' })).items.length;
    expect(await put('priority', { priority: 101 }, 'operator')).toMatchObject({ code: 'request.invalid' });
    expect(await put('priority', { priority: 77 }, 'operator')).toMatchObject({ priority: 77 });
    expect(await mine()).toBe(1);
    const at = '2999-01-01T00:00:00.000Z';
    expect(await put('follow-up', { at }, 'reviewer')).toMatchObject({ followUpAt: at });
    expect(await mine()).toBe(0);
    expect(await put('follow-up', { at: null }, 'reviewer')).not.toHaveProperty('followUpAt');
    expect(await mine()).toBe(1);
  });

  it('takes comments once for a key, and tells the history', async () => {
    for (const _ of [1, 2])
      await send({
        method: 'POST',
        url: `/api/v1/tasks/${task.id}/comments`,
        role: 'reviewer',
        body: { text: 'Ask the shop.' },
        headers: { 'idempotency-key': 'c-1' },
      });
    await post(`${task.id}/seen`, {}, 'viewer');
    const { items } = await send({ url: `/api/v1/tasks/${task.id}/history`, role: 'viewer' });
    expect(items.map(({ kind, by }: { kind: string; by?: string }) => [kind, by])).toEqual([
      ['opened', undefined],
      ['claimed', 'the reviewer'],
      ['delegated', 'the reviewer'],
      ['handed-back', 'the admin'],
      ['assigned', 'the operator'],
      ['released', 'the operator'],
      ['prioritized', 'the operator'],
      ['put-off', 'the reviewer'],
      ['put-off', 'the reviewer'],
      ['commented', 'the reviewer'],
      ['seen', 'the viewer'],
    ]);
  });

  it('hands attachments out to be saved, never to be shown', async () => {
    const file = { name: 'Beleg “März”.txt', mediaType: 'text/plain', contentBase64: 'PHNjcmlwdD4=' };
    const added = await post(`${task.id}/attachments`, file);
    expect(added).toMatchObject({ name: file.name, sizeBytes: 8, by: 'the reviewer' });
    expect(await post(`${task.id}/attachments`, { ...file, contentBase64: '???' })).toMatchObject({
      code: 'request.invalid',
    });
    expect(await post(`${task.id}/attachments`, file, 'viewer')).toMatchObject({ code: 'access.forbidden' });
    const got = await api.request({
      url: `/api/v1/tasks/${task.id}/attachments/${added.id}`,
      role: 'viewer',
    });
    expect([got.body, got.headers['content-type']]).toEqual(['<script>', 'text/plain']);
    expect(got.headers).toMatchObject({
      'content-disposition': `attachment; filename="Beleg _M_rz_.txt"; filename*=UTF-8''Beleg%20%E2%80%9CM%C3%A4rz%E2%80%9D.txt`,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
    });
    expect((await send({ url: `/api/v1/tasks/${task.id}/attachments`, role: 'viewer' })).items).toEqual([
      added,
    ]);
    for (const what of ['attachments', 'history', 'candidates'])
      expect(await send({ url: `/api/v1/tasks/none/${what}`, role: 'viewer' })).toMatchObject({
        code: 'tasks.unknown',
      });
  });

  it('sends a task back with a question, and the flow asks again with the answer', async () => {
    const put = (url: string, body: object, role: RequestOptions['role']) =>
      send({ method: 'PUT', url: `/api/v1/${url}`, role, body: body as never });
    await put('queues/asking', ASKING, 'operator');
    const project = { files: [{ path: 'workflows/asking.yaml', text: LOOP }] };
    await send({ method: 'POST', url: '/api/v1/apply', role: 'operator', body: project });
    const run = await send({
      method: 'POST',
      url: '/api/v1/workflows/asking/runs?wait=0s',
      role: 'operator',
      body: { input: {} },
    });
    const waiting = async () =>
      (await send({ url: `/api/v1/tasks?status=waiting&run=${run.id}`, role: 'viewer' })).items[0];
    await expect.poll(waiting).toBeDefined();
    const first = await waiting();
    const question = { message: 'Which one?', contextDigest: first.contextDigest };
    expect(await post(`${first.id}/return`, question)).toMatchObject({ code: 'tasks.not_candidate' });
    const { 'the reviewer': reviewer } = await ids();
    expect(await put(`keys/${reviewer}/groups`, { groups: ['returns'] }, 'admin')).toMatchObject({
      groups: ['returns'],
    });
    expect(await put(`keys/${reviewer}/groups`, { groups: [] }, 'operator')).toMatchObject({
      code: 'access.forbidden',
    });
    expect(await post(`${first.id}/return`, question)).toMatchObject({
      status: 'returned',
      result: { message: 'Which one?' },
    });
    await expect.poll(waiting).toMatchObject({
      continues: first.id,
      claimedBy: 'the reviewer',
      context: { said: 'answer to: Which one?' },
    });
    const second = await waiting();
    await post(`${second.id}/complete`, { result: { fine: true }, contextDigest: second.contextDigest });
    await expect
      .poll(() => send({ url: `/api/v1/runs/${run.id}`, role: 'viewer' }))
      .toMatchObject({
        status: 'completed',
        output: { result: { fine: true }, returned: false, expired: false },
      });
  });

  it('met no fault of its own', () => expect(api.faults).toEqual([]));
});
