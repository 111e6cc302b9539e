import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../kernel/json.ts';
import { DAY } from '../features-under-test.ts';
import { DatasetBuilds } from './dataset-builds.ts';
import { DatasetsUnderTest } from './datasets-under-test.ts';

const by = { kind: 'key', id: 'ann' };
const EVENTS = `
name: buyers
service: buyer
entities: { events: { type: order, keys: { customer: data.customer } } }
`;
const FILTERED = EVENTS.replace('name: buyers', 'name: late').replace(
  'type: order,',
  'type: order, filter: data.late,',
);
const GIVEN = 'name: given\nviews: [customer-orders]';

const rows = (count: number, from = 20): JsonObject[] =>
  Array.from({ length: count }, (_, at) => ({
    customer: `c-${at % 3}`,
    timestamp: new Date((from + at) * DAY).toISOString(),
  }));

describe('versions of datasets that are asked for', () => {
  let world: DatasetsUnderTest;
  beforeAll(async () => {
    world = await DatasetsUnderTest.open([EVENTS, FILTERED, GIVEN]);
  });
  afterAll(() => world.close());
  afterEach(() => world.features.database.db.query('delete from dataset_builds'));

  const inputs = async (): Promise<number> =>
    (await world.features.database.db.query("select from dataset_blobs where digest like 'input:%'")).length;
  const versions = async (name: string): Promise<number[]> =>
    (await world.datasets.versions(name)).map(({ version }) => version);

  it('wait, are worked on, and say what they became', async () => {
    const id = await world.builds.start({ name: 'given', source: { rows: rows(5) }, by });
    expect(await world.builds.get(id)).toMatchObject({
      status: 'running',
      dataset: 'given',
      rows: 0,
      requestedBy: 'ann',
      source: { rows: 5 },
      version: null,
    });
    expect(await inputs()).toBe(1);
    expect([await world.builds.passes.step(), await world.builds.passes.step()]).toEqual([true, false]);
    const done = await world.builds.get(id);
    expect(done).toMatchObject({ status: 'done', rows: 5, total: 5, version: 1, isNew: true, problem: null });
    expect(await inputs()).toBe(0);
    const again = await world.builds.start({ name: 'given', source: { rows: rows(5) }, by });
    await world.builds.passes.step();
    expect(await world.builds.get(again)).toMatchObject({ status: 'done', version: 1, isNew: false });
    expect((await world.builds.list('given')).map((each) => each.id).toSorted()).toEqual(
      [id, again].toSorted(),
    );
    expect(await world.builds.list('buyers')).toEqual([]);
  });

  it('tell how many rows there are while they are read, where events need not be looked at for it', async () => {
    const { surroundings } = world;
    let id = '';
    const told: unknown[] = [];
    const builds = new DatasetBuilds({
      ...surroundings,
      features: {
        historical: async (service, spine) => {
          // The next renewal of the lease tells it.
          await expect.poll(async () => (await builds.get(id)).total, { timeout: 15_000 }).toBe(40);
          told.push((await builds.get(id)).status);
          return surroundings.features.historical(service, spine);
        },
      },
      limits: { ...surroundings.limits, passLeaseMs: 600 },
    });
    id = await builds.start({ name: 'buyers', by });
    await builds.passes.step();
    expect([told, (await builds.get(id)).rows]).toEqual([['running'], 40]);
    const countEvents = () => Promise.reject(new Error('the filter is not counted'));
    const filtered = new DatasetBuilds({ ...surroundings, countEvents });
    id = await filtered.start({ name: 'late', by });
    await filtered.passes.step();
    expect(await filtered.get(id)).toMatchObject({ status: 'done', total: 40 });
  });

  it.each(['reading', 'keeping'])(
    'are begun anew when their process is killed at %s',
    { timeout: 60_000 },
    async (stage) => {
      const before = (await versions('given')).length;
      const source = { rows: rows(stage === 'reading' ? 7 : 8) };
      const id = await world.builds.start({ name: 'given', source, by });
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'building-under-test.ts'), world.features.database.url, stage],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      expect(await world.builds.passes.step()).toBe(false); // it is in the child's hands
      child.kill('SIGKILL');
      await ended;
      await expect.poll(() => world.builds.passes.step(), { timeout: 30_000, interval: 100 }).toBe(true);
      expect(await world.builds.get(id)).toMatchObject({
        status: 'done',
        isNew: true,
        rows: source.rows.length,
      });
      expect(await versions('given')).toHaveLength(before + 1);
      expect(await inputs()).toBe(0);
    },
  );

  it('that are canceled make nothing, even when they are about to be kept', async () => {
    const before = await versions('given');
    const waiting = await world.builds.start({ name: 'given', source: { rows: rows(9) }, by });
    await world.builds.passes.cancel(waiting, 'bob', []);
    expect(await world.builds.passes.step()).toBe(false);
    expect(await world.builds.get(waiting)).toMatchObject({ status: 'canceled', canceledBy: 'bob' });
    let id = '';
    const late = new DatasetBuilds({
      ...world.surroundings,
      features: {
        historical: async (service, spine) => {
          await world.builds.passes.cancel(id, 'bob', []);
          return world.surroundings.features.historical(service, spine);
        },
      },
    });
    id = await late.start({ name: 'given', source: { rows: rows(9) }, by });
    await late.passes.step();
    expect(await world.builds.get(id)).toMatchObject({ status: 'canceled', version: null, problem: null });
    expect(await versions('given')).toEqual(before);
    expect(await inputs()).toBe(0);
    await expect(world.builds.passes.cancel(id, 'bob', [])).rejects.toMatchObject({
      code: 'datasets.build_ended',
    });
    await expect(world.builds.get('dsb_nothing')).rejects.toMatchObject({ code: 'datasets.unknown_build' });
  });

  it('that fail say why, and keep nothing of what was sent', async () => {
    const content = Readable.from([Buffer.from('customer,when\nc-0,now\n')]);
    const source = { file: { content, format: 'csv' as const } };
    const id = await world.builds.start({ name: 'given', source, by });
    await world.builds.passes.step();
    expect(await world.builds.get(id)).toMatchObject({
      status: 'failed',
      problem: { code: 'datasets.entity_rows', detail: 'Row 1 has no timestamp.' },
    });
    expect(await inputs()).toBe(0);
  });

  it('are refused when too many wait, and when a file is too large', async () => {
    const { surroundings } = world;
    const limits = { ...surroundings.limits, datasetBuildsMax: 1, datasetBytesMax: 500 };
    const builds = new DatasetBuilds({ ...surroundings, limits });
    await builds.start({ name: 'given', source: { rows: rows(1) }, by });
    await expect(builds.start({ name: 'given', source: { rows: rows(2) }, by })).rejects.toMatchObject({
      code: 'request.overloaded',
      extensions: { limitName: 'datasetBuildsMax' },
    });
    await expect(builds.start({ name: 'given', source: { rows: rows(99) }, by })).rejects.toMatchObject({
      code: 'request.too_large',
      extensions: { limitName: 'datasetBytesMax' },
    });
    expect(await inputs()).toBe(1);
  });

  it('are worked on two at a time, and go to another process when theirs stops', async () => {
    let [working, most] = [0, 0];
    const hanging = new DatasetBuilds({
      ...world.surroundings,
      features: {
        historical: () => {
          working++;
          most = Math.max(most, working);
          return new Promise((_, reject) =>
            stopped.signal.addEventListener('abort', () => reject(new Error())),
          );
        },
      },
    });
    const stopped = new AbortController();
    const ids: string[] = [];
    for (const count of [11, 12, 13])
      ids.push(await hanging.start({ name: 'given', source: { rows: rows(count) }, by }));
    hanging.passes.begin();
    await expect.poll(() => working, { timeout: 15_000 }).toBe(2);
    const stop = hanging.passes.stop();
    stopped.abort();
    await stop;
    expect(most).toBe(2);
    while (await world.builds.passes.step());
    for (const id of ids) expect(await world.builds.get(id)).toMatchObject({ status: 'done', isNew: true });
  });
});
