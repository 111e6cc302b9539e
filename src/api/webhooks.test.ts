import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCli } from '../cli/program.ts';
import { returnRequested } from './api-under-test.ts';
import { openedApi, requestsBelow } from './opened-api-under-test.ts';

describe('the API of webhooks', () => {
  const { api } = openedApi('webhookPollMs=30,consumerPollMs=20');
  let status = 200;
  const received: string[] = [];
  const receiver = createServer((request, response) => {
    if (status === 200) received.push(String(request.headers['webhook-id']));
    request.resume().on('end', () => response.writeHead(status).end());
  });
  let url: string;
  beforeAll(async () => {
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  });
  afterAll(() => void receiver.close());
  const ask = requestsBelow(api, '/api/v1/webhooks');
  const call = async (...asked: Parameters<typeof ask>) => {
    const [http, answer] = await ask(...asked);
    return { ...answer, http };
  };

  it('makes, shows, changes and deletes them, and tells the secret once', async () => {
    const made = await call('POST', '', { url, types: ['return.requested'] });
    expect(made).toMatchObject({
      url,
      types: ['return.requested'],
      secret: expect.stringMatching(/^whsec_/),
    });
    expect((await call('POST', '', { url }, 'viewer')).code).toBe('access.forbidden');
    expect((await call('POST', '', { url: 'nowhere' })).code).toBe('webhooks.invalid');
    const shown = await call('GET', `/${made.id}`, undefined, 'viewer');
    expect(shown).toMatchObject({ id: made.id, status: 'active' });
    expect(JSON.stringify(shown)).not.toContain('whsec_');
    expect((await call('POST', `/${made.id}/rotate`)).secret).not.toBe(made.secret);
    const post = async (id: string) =>
      api.request({
        method: 'POST',
        url: '/api/v1/events',
        role: 'operator',
        body: returnRequested(id, 5),
        headers: { 'content-type': 'application/cloudevents+json' },
      });
    await post('w-1');
    await vi.waitFor(() => expect(received).toHaveLength(1));
    status = 500;
    await post('w-2');
    const failed = async () => (await call('GET', `/${made.id}/deliveries?status=retrying`)).items;
    await vi.waitFor(async () => expect(await failed()).toHaveLength(1));
    status = 200;
    const [delivery] = await failed();
    expect(delivery).toMatchObject({ response: 500, attempts: 1, event: { id: 'w-2' } });
    expect((await call('POST', `/${made.id}/deliveries/${delivery.id}/retry`)).http).toBe(200);
    await vi.waitFor(() => expect(received).toEqual([received[0], delivery.id]));
    const selection = { types: ['return.requested'], filter: 'data.amount > 1.0' };
    expect(await call('PATCH', `/${made.id}`, { filter: selection.filter })).toMatchObject(selection);
    const all = await call('PATCH', `/${made.id}`, { types: null, filter: null });
    expect([all.http, all.types, all.filter]).toEqual([200, undefined, undefined]);
    expect(await call('PATCH', `/${made.id}`, { enabled: false })).toMatchObject({ status: 'disabled' });
    expect((await call('DELETE', `/${made.id}`)).http).toBe(200);
    expect((await call('GET', `/${made.id}`)).code).toBe('webhooks.unknown');
  });

  it('is there on the command line', async () => {
    const door = await api.server.listen({ host: '127.0.0.1', port: 0 });
    const aios = async (...args: string[]) => {
      let said = '';
      const hear = (text: unknown) => {
        said += String(text);
        return true;
      };
      const out = vi.spyOn(process.stdout, 'write').mockImplementation(hear as typeof process.stdout.write);
      const connection = ['--url', door.replace('127.0.0.1', 'localhost'), '--key', api.keys.operator];
      await runCli([...connection, 'webhooks', ...args], async () => 1).finally(() => out.mockRestore());
      return said;
    };
    const [id = ''] = /whk_\w+/.exec(await aios('--create', url, '--type', 'a.b', 'c.d')) ?? [];
    expect(await aios()).toMatch(new RegExp(`${id} +${url} +a.b, c.d +active`));
    expect(await aios(id, '--rotate')).toMatch(/whsec_/);
    expect(await aios(id, '--disable')).toMatch(/disabled by a person/);
    expect(await aios(id, '--enable')).toMatch(/active/);
    expect(await aios(id)).toBe('nothing\n');
    expect(await aios(id, '--delete')).toBe(`${id} is gone\n`);
  });
});
