import { beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '../kernel/json.ts';
import type { RequestOptions } from './api-under-test.ts';
import { openedApi } from './opened-api-under-test.ts';

const NIGHTLY = `
document: { dsl: '1.0.3', namespace: test, name: nightly, version: '1.0.0', metadata: { aios: { schedule: { timezone: Europe/Berlin, overlap: queue } } } }
evaluate: { language: cel }
schedule: { cron: '30 2 * * *' }
do: [ { seen: { set: { until: '\${ input.scheduledAt }' } } } ]
`;

describe('the API of schedules', () => {
  const { api, database } = openedApi();
  beforeAll(async () => {
    const files = [{ path: 'workflows/nightly.yaml', text: NIGHTLY }];
    await api.request({ method: 'POST', url: '/api/v1/apply', role: 'operator', body: { files } });
  });

  const act = (action: string, body?: Json, role: RequestOptions['role'] = 'operator', name = 'nightly') =>
    api.request({
      method: 'POST',
      url: `/api/v1/workflows/${name}/schedule/${action}`,
      role,
      ...(body === undefined ? {} : { body }),
    });
  const list = async () => (await api.request({ url: '/api/v1/schedules', role: 'viewer' })).json().items;
  const recorded = async () => {
    const rows = await database.db.query<{ entry: string }>('select entry from audit_entries order by seq');
    return rows
      .map(({ entry }) => JSON.parse(entry) as { kind: string; action: string; actor: { kind: string } })
      .filter(({ kind }) => kind === 'workflow')
      .map(({ action, actor }) => `${action} by a ${actor.kind}`);
  };

  it('lists what starts by time, with its next time', async () => {
    await expect.poll(async () => (await list())[0]?.nextAt, { timeout: 20_000 }).toEqual(expect.any(String));
    const [schedule] = await list();
    expect(schedule).toMatchObject({
      workflow: 'nightly',
      version: 1,
      kind: 'cron',
      expression: '30 2 * * *',
      timezone: 'Europe/Berlin',
      overlap: 'queue',
      missed: 'skip',
      paused: false,
      queued: 0,
      skipped: 0,
    });
    expect(new Date(schedule.nextAt).getTime()).toBeGreaterThan(Date.now());
  });

  it('pauses and resumes, and records who did, once', async () => {
    expect((await act('pause', {}, 'viewer')).json()).toMatchObject({ code: 'access.forbidden' });
    const paused = await act('pause', {});
    expect([paused.statusCode, paused.json()]).toMatchObject([200, { paused: true }]);
    expect(paused.json().nextAt).toBeUndefined();
    expect((await act('pause', {})).json()).toMatchObject({ paused: true });
    const resumed = await act('resume');
    expect(resumed.json()).toMatchObject({ paused: false, nextAt: expect.any(String) });
    expect(await recorded()).toEqual(['schedule-paused by a key', 'schedule-resumed by a key']);
  });

  it('fills a past range back, in order, in which a day has 23 hours, and not twice', async () => {
    const range = { from: '2026-03-28T00:00:00Z', until: '2026-03-31T00:00:00Z' };
    const filled = await act('backfill', range);
    expect([filled.statusCode, filled.json()]).toMatchObject([200, { times: 3, alreadyRun: 0 }]);
    const runs = async () =>
      (await api.request({ url: '/api/v1/runs?workflow=nightly&status=completed', role: 'viewer' })).json()
        .items;
    await expect.poll(async () => (await runs()).length, { timeout: 20_000 }).toBe(3);
    const outputs = await Promise.all(
      (await runs()).map(async ({ id }: { id: string }) =>
        (await api.request({ url: `/api/v1/runs/${id}`, role: 'viewer' })).json(),
      ),
    );
    expect(outputs.map(({ output }) => output.until).sort()).toEqual([
      '2026-03-28T01:30:00.000Z',
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
    expect(outputs.every(({ scheduledAt, output }) => scheduledAt === output.until)).toBe(true);
    expect((await act('backfill', range)).json()).toMatchObject({ times: 0, alreadyRun: 3 });
    expect((await recorded()).filter((each) => each.startsWith('schedule-backfilled'))).toHaveLength(1);
  });

  it('refuses with a way forward', async () => {
    const future = { from: '2026-03-28T00:00:00Z', until: '2999-01-01T00:00:00Z' };
    expect((await act('backfill', future)).json()).toMatchObject({ status: 400, code: 'request.invalid' });
    const long = { from: '2020-01-01T00:00:00Z', until: '2024-01-01T00:00:00Z' };
    expect((await act('backfill', long)).json().detail).toMatch(/more than 1000 times/);
    expect((await act('pause', {}, 'operator', 'greet')).json()).toMatchObject({
      status: 409,
      code: 'workflow.not_scheduled',
      hint: expect.stringContaining('schedule:'),
    });
    expect((await act('resume', undefined, 'operator', 'no-such')).json()).toMatchObject({ status: 404 });
  });
});
