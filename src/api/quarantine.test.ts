import { beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../kernel/json.ts';
import { openedApi } from './opened-api-under-test.ts';

const contract = (version: string, type: string) => `
name: order.placed
version: ${version}
owner: shop
onInvalid: quarantine
quality:
  - { rule: data.total >= 0.0, message: a total is not negative, onFail: quarantine }
  - { rule: data.total < 1000.0, message: a total is below 1000 }
  - { metric: nullValues, property: note, unit: percent, mustBeLessThan: 50 }
schema: { type: object, required: [total], properties: { total: { type: ${type} } } }
`;

describe('the quarantine over the API', () => {
  const { api, database } = openedApi();
  beforeAll(async () => {
    await apply('1.0.0', 'number');
  });
  const apply = async (version: string, type: string) => {
    const body = { files: [{ path: 'contracts/order.yaml', text: contract(version, type) }] };
    const answer = await api.request({ method: 'POST', url: '/api/v1/apply', role: 'operator', body });
    expect(answer.json()).toMatchObject({ applied: true });
  };
  const publish = async (...events: { id: string; partitionkey?: string; data: JsonObject }[]) => {
    const batch = events.map((one) => ({ specversion: '1.0', source: 'shop', type: 'order.placed', ...one }));
    const answer = await api.request({
      method: 'POST',
      url: '/api/v1/events',
      role: 'operator',
      body: batch,
      headers: { 'content-type': 'application/cloudevents-batch+json' },
    });
    return answer.json();
  };
  const list = async (status = 'open') =>
    (await api.request({ method: 'GET', url: `/api/v1/quarantine?status=${status}`, role: 'viewer' })).json()
      .items;
  const release = async (...ids: string[]) =>
    (
      await api.request({
        method: 'POST',
        url: '/api/v1/quarantine/release',
        role: 'operator',
        body: { ids },
      })
    ).json();
  const logged = async () =>
    (await api.request({ method: 'GET', url: '/api/v1/events', role: 'viewer' }))
      .json()
      .items.map(({ id }: { id: string }) => id);

  it('keeps apart what the contract says, once, and refuses the rest', async () => {
    const answer = await publish(
      { id: 'fits', data: { total: 5 } },
      { id: 'text', data: { total: '5' } },
      { id: 'negative', data: { total: -1 } },
      { id: 'high', data: { total: 5000 } },
    );
    expect(answer).toMatchObject({ accepted: 1, duplicates: 0, quarantined: 2, rejected: [{ index: 3 }] });
    expect(await publish({ id: 'text', data: { total: '5' } })).toMatchObject({
      accepted: 0,
      quarantined: 1,
    });
    expect(await logged()).toEqual(['fits']);
    const items = await list();
    expect(items.map(({ event }: { event: { id: string } }) => event.id).sort()).toEqual([
      'negative',
      'text',
    ]);
    expect(items[0]).toMatchObject({
      contract: 'order.placed',
      version: '1.0.0',
      problem: { code: 'contracts.data_invalid', issues: [expect.anything()] },
    });
  });

  it('releases what fits by now with its id, and keeps what does not', async () => {
    const idOf = async (id: string) =>
      (await list()).find(({ event }: { event: { id: string } }) => event.id === id).id as string;
    const [text, negative] = [await idOf('text'), await idOf('negative')];
    expect(await release(text)).toMatchObject({
      released: 0,
      failed: [{ id: text, problem: { code: 'contracts.data_invalid' } }],
    });
    await apply('1.1.0', '[number, string]');
    // The rule cannot compare a text with a number.
    expect(await release(text)).toMatchObject({ released: 0 });
    const url = `/api/v1/quarantine/${negative}/discard`;
    const discard = (role: 'operator' | 'viewer') =>
      api.request({ method: 'POST', url, role, body: { reason: 'a test order' } });
    expect((await discard('viewer')).statusCode).toBe(403);
    expect((await discard('operator')).json()).toEqual({ id: negative, status: 'discarded' });
    expect((await discard('operator')).json()).toMatchObject({ code: 'contracts.unknown_quarantined' });
    expect(await list('discarded')).toMatchObject([{ id: negative, reason: 'a test order' }]);
    expect(await logged()).toEqual(['fits']);
    const [{ count }] = (await database.db.query(
      'select count(*)::int as count from audit_entries where object = $1',
      [`quarantine:${negative}`],
    )) as [{ count: number }];
    expect(count).toBe(1);
  });

  it('takes a discarded event as settled when it comes again, and as a new case with other data', async () => {
    const [discarded] = await list('discarded');
    const again = { id: 'negative', data: { total: -1 } };
    expect(await publish(again)).toMatchObject({ quarantined: 1 });
    expect(await list('discarded')).toMatchObject([{ id: discarded.id }]);
    // The same id twice in one request: the first of them is kept.
    expect(
      await publish({ id: 'negative', data: { total: -2 } }, { id: 'negative', data: { total: -3 } }),
    ).toMatchObject({ quarantined: 2 });
    expect(await list('discarded')).toEqual([]);
    const [newest] = await list();
    expect(newest).toMatchObject({
      id: discarded.id,
      event: { id: 'negative', data: { total: -2 } },
    });
    expect(newest).not.toHaveProperty('reason');
    const url = `/api/v1/quarantine/${newest.id}/discard`;
    await api.request({ method: 'POST', url, role: 'operator', body: { reason: 'another test order' } });
  });

  it('appends a released event once, behind what came in the meantime', async () => {
    const later = { id: 'later', data: { total: -5 } };
    await publish(later);
    const [{ id }] = await list().then((items) =>
      items.filter(({ event }: { event: { id: string } }) => event.id === 'later'),
    );
    await api.request({
      method: 'POST',
      url: '/api/v1/apply',
      role: 'operator',
      body: {
        files: [
          {
            path: 'contracts/order.yaml',
            text: contract('1.2.0', '[number, string]').replace(/ {2}- \{ rule: data.total >= 0.*\n/, ''),
          },
        ],
      },
    });
    await publish({ id: 'meanwhile', data: { total: 1 } });
    expect(await release(id)).toEqual({ released: 1, failed: [] });
    expect(await release(id)).toMatchObject({
      failed: [{ problem: { code: 'contracts.unknown_quarantined' } }],
    });
    expect((await logged()).toSorted()).toEqual(['fits', 'later', 'meanwhile']);
    expect(await list('released')).toMatchObject([{ id, resolvedBy: expect.any(String) }]);
  });

  it('releases several in the order in which they came, however they are named', async () => {
    const ids = ['e', 'd', 'c', 'b', 'a'];
    await publish(...ids.map((id) => ({ id, partitionkey: 'k', data: { total: { of: id } } })));
    const listed: { id: string; event: { id: string } }[] = (await list()).slice(0, 5);
    expect(listed.map(({ event }) => event.id)).toEqual(ids.toReversed());
    const text = contract('1.3.0', '[number, string, object]').replace(/ {2}- \{ rule: .*\n/g, '');
    const body = { files: [{ path: 'contracts/order.yaml', text }] };
    await api.request({ method: 'POST', url: '/api/v1/apply', role: 'operator', body });
    const [a, b, c, d] = listed.map(({ id }) => id);
    expect(await release(b!, 'qtn_none', d!)).toMatchObject({ released: 2, failed: [{ id: 'qtn_none' }] });
    const ask = async (asked: JsonObject) => {
      const url = '/api/v1/quarantine/release';
      return (await api.request({ method: 'POST', url, role: 'operator', body: asked })).json();
    };
    expect(await ask({ contract: 'order.placed', after: c! })).toEqual({ released: 1, failed: [] });
    expect(await ask({ contract: 'order.placed' })).toEqual({ released: 3, failed: [] }); // and “text”, from before
    expect(await ask({ contract: 'order.placed', ids: [a!] })).toMatchObject({ code: 'request.invalid' });
    const { items } = (await api.request({ method: 'GET', url: '/api/v1/events', role: 'viewer' })).json();
    const order = (items as { id: string; offset: number; partitionkey?: string }[])
      .filter(({ partitionkey }) => partitionkey === 'k')
      .toSorted((one, other) => one.offset - other.offset);
    expect(order.map(({ id }) => id)).toEqual(['d', 'b', 'a', 'e', 'c']);
  });

  it('shows what is measured of a contract', async () => {
    await database.db.query(
      `insert into contract_quality_windows (contract, rule, window_start, window_end, counters, value, status)
       values ('order.placed', 'nullValues note', '2026-01-01', '2026-01-01 01:00', '{"rows": 4, "matching": 2}', 50, 'failed')`,
    );
    const url = '/api/v1/contracts/order.placed/quality';
    expect((await api.request({ method: 'GET', url, role: 'viewer' })).json()).toMatchObject({
      rules: [],
      windows: [{ rule: 'nullValues note', rows: 4, value: 50, status: 'failed', late: 0 }],
    });
  });
});
