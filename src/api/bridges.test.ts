import { describe, expect, it, vi } from 'vitest';
import { runCli } from '../cli/program.ts';
import { openedApi, requestsBelow } from './opened-api-under-test.ts';

describe('the API of bridges', () => {
  const { api } = openedApi('bridgePollMs=20,consumerPollMs=20');
  const ask = requestsBelow(api, '/api/v1/bridges');
  const call = async (...asked: Parameters<typeof ask>) => {
    const [http, answer] = await ask(...asked);
    return { ...answer, http };
  };
  const until = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 15_000, interval: 20 });
  // Nothing listens there, and the address is private: the guard of what leaves refuses it first.
  const amqp = { host: '127.0.0.1', port: 1, queue: 'orders' };

  it('shows how they fare, and pauses them and lets them go on, on record', async () => {
    expect((await call('PUT', '/orders', { name: 'orders', from: { amqp } })).http).toBe(200);
    await until(async () =>
      expect(await call('GET', '/orders', undefined, 'viewer')).toMatchObject({
        ...{ name: 'orders', version: 1, direction: 'source', protocol: 'amqp', state: 'failing', passed: 0 },
        problem: { code: 'connectors.egress_refused' },
      }),
    );
    expect((await call('POST', '/orders/pause', undefined, 'viewer')).code).toBe('access.forbidden');
    expect((await call('POST', '/orders/pause')).state).toBe('paused');
    expect((await call('POST', '/orders/pause')).state).toBe('paused');
    expect((await call('GET', '')).items).toMatchObject([{ name: 'orders', state: 'paused' }]);
    expect((await call('POST', '/orders/resume')).state).not.toBe('paused');
    expect((await call('POST', '/orders/restart')).name).toBe('orders');
    expect((await call('POST', '/orders/restart', undefined, 'viewer')).code).toBe('access.forbidden');
    expect((await call('PUT', '/orders/position', { position: null })).code).toBe('bridges.place_not_here');
    expect(await call('GET', '/orders')).toMatchObject({ movable: false });
    const kafka = { brokers: ['127.0.0.1:1'], topic: 't' };
    await call('PUT', '/topic', { name: 'topic', from: { kafka } });
    const position = { topic: 't', topicId: 'i', offsets: { '0': 5 } };
    expect(await call('PUT', '/topic/position', { position })).toMatchObject({ position, movable: true });
    expect((await call('PUT', '/topic/position', { position: null })).position).toBeUndefined();
    await call('PUT', '/sent', { name: 'sent', to: { kafka } });
    const space = '11111111-2222-4333-8444-555555555555';
    expect((await call('PUT', '/sent/position', { position: { space } })).position).toEqual({ space });
    expect((await call('PUT', '/sent/position', { position: null })).position).not.toEqual({ space });
    expect((await call('PUT', '/sent/position', { position })).code).toBe('request.invalid');
    for (const wrong of [5, { offsets: { '0': -1 } }])
      expect((await call('PUT', '/topic/position', { position: wrong })).code).toBe('request.invalid');
    // Entries are put in order a moment after their commit.
    await until(async () => {
      const entries = await api.request({
        url: '/api/v1/audit/entries?object=bridge:orders',
        role: 'operator',
      });
      const actions = (entries.json().items as { action: string }[]).map(({ action }) => action);
      expect(actions.filter((one) => /ed$/.test(one) && one !== 'applied').sort()).toEqual([
        ...['paused', 'restarted', 'resumed'],
      ]);
    });
    expect((await call('GET', '/nothing')).code).toBe('bridges.unknown');
    expect((await call('GET', '/orders/versions')).items).toMatchObject([{ version: 1 }]);
  });

  it('reaches what the definition allows, and says what it met there', async () => {
    await call('PUT', '/out', { name: 'out', from: { amqp }, allowPrivate: ['127.0.0.1:1'] });
    await until(async () =>
      expect((await call('GET', '/out')).problem).toMatchObject({ code: 'bridges.unreachable' }),
    );
    expect(await call('PUT', '/out', { name: 'out', from: { amqp }, types: ['a'] })).toMatchObject({
      ...{ code: 'definition.invalid', issues: [{ path: '/types', file: 'bridges/out.json' }] },
    });
    await call('PUT', '/out', { name: 'out', from: { amqp }, paused: true });
    expect(await call('POST', '/out/resume')).toMatchObject({
      http: 409,
      code: 'bridges.paused_by_definition',
    });
  });

  it('is what the command line speaks to', async () => {
    const door = await api.server.listen({ host: '127.0.0.1', port: 0 });
    const aios = async (...args: string[]) => {
      let said = '';
      const hear = (text: unknown) => {
        said += String(text);
        return true;
      };
      const out = vi.spyOn(process.stdout, 'write').mockImplementation(hear as typeof process.stdout.write);
      const connection = ['--url', door.replace('127.0.0.1', 'localhost'), '--key', api.keys.operator];
      await runCli([...connection, 'bridges', ...args], async () => 1).finally(() => out.mockRestore());
      return said;
    };
    expect(await aios('orders', '--pause')).toMatch(/orders +from amqp +paused/);
    expect(await aios('orders', '--resume')).toMatch(/orders +from amqp/);
    expect(await aios('orders', '--restart')).toMatch(/orders +from amqp/);
    expect(await aios('topic', '--position', '{"topic":"t","topicId":"i","offsets":{"0":7}}')).toMatch(
      /"0":7/,
    );
    expect(await aios('topic', '--reset')).not.toMatch(/Place/);
    await until(async () => expect(await aios('orders')).toMatch(/failing.*\n?.*What now/s));
    expect(await aios()).toMatch(/out +from amqp +paused/);
  });
});
