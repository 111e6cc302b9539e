import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventConsumers } from '../events/consumers.ts';
import { EventLog } from '../events/log.ts';
import { eventMigrations } from '../events/migrations.ts';
import { logBegin } from '../events/retention/log-begin.ts';
import { Retention } from '../events/retention/retention.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { write } from '../store/lane.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { entityKind, featureViewKind } from './definitions.ts';
import { putDefinition } from './features-under-test.ts';
import { heldViewsOf } from './held-views.ts';
import { featureMigrations } from './migrations.ts';
import { FeatureViews } from './views.ts';

const DAY_MS = 86_400_000;
const COUNT = 700; // of one partition: more than a view reads at once
const VIEW =
  'name: seen\nentity: customer\nsource: { event: seen }\nkeys: { customer: data.customer }\nfeatures: { seen: { aggregate: count } }';

describe('a log of which a part was dropped', () => {
  let database: TestDatabase;
  let log: EventLog;
  let nowMs = Date.parse('2026-01-01T00:00:00Z');
  const clock = { now: () => nowMs, monotonicMs: () => performance.now() };
  beforeEach(async () => {
    database = await createTestDatabase(
      [...definitionMigrations, ...eventMigrations, ...featureMigrations],
      `consumerPollMs=20,eventRetentionMs=${16 * DAY_MS},eventRetentionPassMs=1000000`,
    );
    log = new EventLog({ ...database, clock });
  });
  afterEach(() => database.close());

  const append = (count: number, customer: string) =>
    log.append(
      Array.from({ length: count }, (_, n) => ({
        ...{ specversion: '1.0' as const, id: `${customer}-${nowMs}-${n}`, source: 'urn:test', type: 'seen' },
        time: new Date(nowMs).toISOString(),
        ...{ partitionkey: customer, data: { customer } },
      })),
    );
  const consumed = async () => {
    const consumers = new EventConsumers({ ...database, log });
    consumers.add({ group: 'features', handle: async () => () => {} });
    await consumers.start();
    await consumers.idle();
    await consumers.stop();
  };

  it('still builds a view that is new from all that is left of it', async () => {
    const retention = new Retention({
      ...{ db: database.db, clock, limits: database.limits, unread: 'keep' },
      record: (dropped) => write({ name: 'noted', order: 99, write: async () => [] }, dropped),
      onError: (error) => {
        throw error;
      },
    });
    await retention.start();
    await append(COUNT, 'old');
    await append(COUNT, 'both');
    await consumed();
    nowMs += DAY_MS;
    await retention.pass();
    await append(COUNT, 'both');
    await consumed();
    nowMs += 16.5 * DAY_MS;
    expect(await retention.pass()).toHaveLength(1);
    await retention.stop();
    for (const [kind, source] of [
      [entityKind, 'name: customer\njoinKeys: [customer]'],
      [featureViewKind, VIEW],
    ] as const)
      await putDefinition(database, kind, source);
    const definitions = new Definitions(database.db, heldViewsOf);
    const views = new FeatureViews({
      ...{ db: database.db, definitions, group: 'features', logBegin },
      readLog: (...of) => new EventLog({ ...database, clock }).read(...of), // of a process that has nothing in memory
    });
    await views.sync();
    expect(
      await database.db.query(
        'select entity, count(*) as count from feature_contributions group by entity order by entity',
      ),
    ).toEqual([{ entity: 'both', count: COUNT }]);
    expect(await views.behind(database.db, await log.head())).toEqual([]);
  });
});
