import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type App, createApp } from '../src/app/app.ts';
import { PARTITIONS } from '../src/events/partitions.ts';
import { resetGroup } from '../src/events/replay/replay-store.ts';
import type { CloudEvent } from '../src/kernel/cloudevent.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';

const WAIT = { timeout: 20_000, interval: 20 };
/** Looks that find something by chance are as good as none. */
const LIMITS = limitsFrom('changesPollMs=3600000');
const CONTRACT = (type: string) =>
  `name: ${type}\nversion: 1.0.0\nowner: shop\nschema: { type: object, properties: { shop: { type: string }, n: { type: number } } }`;
const PROJECT: Record<string, string> = {
  'contracts/sold.yaml': CONTRACT('sold'),
  'contracts/other.yaml': CONTRACT('other'),
  'entities/shop.yaml': 'name: shop\njoinKeys: [shop]',
  'features/sales.yaml':
    'name: sales\nentity: shop\nowner: shop\nsource: { event: sold }\nkeys: { shop: data.shop }\nfeatures: { count: { aggregate: count } }',
};
const event = (type: string, n: number): CloudEvent => ({
  ...{ specversion: '1.0', id: `${type}-${n}`, source: 'urn:test', type, time: new Date().toISOString() },
  data: { shop: 's1', n },
});

describe('what idle servers are told', () => {
  let database: TestDatabase;
  let folder: string;
  const apps: App[] = [];
  const start = async () => {
    const app = await createApp({
      ...{ dataDir: folder, databaseUrl: database.url, host: '127.0.0.1', port: 0, limits: LIMITS },
    });
    app.ready();
    apps.push(app);
    return app;
  };
  const apply = (app: App, files: Readonly<Record<string, string>>) =>
    app.apply(Object.entries(files).map(([path, text]) => ({ path, bytes: Buffer.from(text) })));
  const lag = async (app: App) =>
    (await app.stations.consumers.groups()).reduce((sum, group) => sum + group.lag, 0);
  const members = async (group: string) =>
    new Set(
      (
        await database.db.query<{ owner: string | null }>(
          'select owner from event_consumers where consumer_group = $1',
          [group],
        )
      ).map(({ owner }) => owner),
    );

  beforeAll(async () => {
    database = await createTestDatabase([]);
    folder = await mkdtemp(join(tmpdir(), 'aios-idle-'));
  });
  afterAll(async () => {
    await Promise.all(apps.map((app) => app.stop()));
    await database.close();
    await rm(folder, { recursive: true });
  });

  it('is all that they need: events, the places of groups, the audit log, definitions of another process and its partitions', async () => {
    const one = await start();
    await apply(one, PROJECT);

    // Events that are wanted, and those that groups only pass over.
    await one.publish([event('sold', 1), event('other', 1)]);
    await expect.poll(() => lag(one), WAIT).toBe(0);

    // A group that is moved reads what it is moved to.
    const { consumers } = one.stations;
    await database.db.transaction((tx) => resetGroup(tx, 'workflows', new Array(PARTITIONS).fill(0)));
    await expect.poll(() => lag(one), WAIT).toBe(0);
    expect(consumers.lags().workflows).toBe(0);

    // The audit log is put in order by what is written.
    await expect
      .poll(
        async () => (await database.db.query<{ size: number }>('select size from audit_tree'))[0]?.size,
        WAIT,
      )
      .toBeGreaterThan(3);

    // Another process takes its share, is told what is applied here, and leaves it when it goes.
    const two = await start();
    await expect.poll(async () => (await members('features')).size, WAIT).toBe(2);
    await apply(two, { 'contracts/late.yaml': CONTRACT('late') });
    await expect.poll(() => one.stations.definitions.latest('contract', 'late')?.version, WAIT).toBe(1);
    await apply(one, { 'contracts/later.yaml': CONTRACT('later') });
    await expect.poll(() => two.stations.definitions.latest('contract', 'later')?.version, WAIT).toBe(1);
    await two.publish([event('sold', 2), event('other', 2)]);
    await expect.poll(() => lag(one), WAIT).toBe(0);
    await apps.pop()!.stop();
    await expect.poll(async () => (await members('features')).size, WAIT).toBe(1);
    await one.publish([event('sold', 3), event('other', 3)]);
    await expect.poll(() => lag(one), WAIT).toBe(0);
  });
});
