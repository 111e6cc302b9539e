import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definitionMigrations } from '../../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { event } from '../event-under-test.ts';
import { eventMigrations } from '../migrations.ts';
import {
  claimDue,
  insertFailed,
  insertWebhook,
  readDeliveries,
  type WebhookDelivery,
} from './webhook-store.ts';

describe('deliveries of a webhook', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase([...definitionMigrations, ...eventMigrations], 'pageBytesMax=3000');
  });
  afterAll(() => database.close());

  it('are told of in pages, and taken in batches, that are short where events are large, each once', async () => {
    const { db, limits } = database;
    await insertWebhook(db, {
      ...{ id: 'whk_1', url: 'http://127.0.0.1/hook', description: '', selection: {}, secrets: [] },
      ...{ status: 'active', disabledReason: null, failingSince: null, createdAt: 0, updatedAt: 0 },
    });
    const failed = Array.from({ length: 7 }, (_, n) => ({
      id: `msg_${n}`,
      logged: {
        ...{ partition: 0, offset: n, timeMs: 0, recordedAtMs: 0 },
        event: event(`large${n}`, { data: 'x'.repeat(1000) }),
      },
      ...{ response: 500, detail: '' },
    }));
    await insertFailed(db, 'whk_1', failed, 1000, 2000);
    const told: WebhookDelivery[][] = [];
    for (let after: string | null | undefined; after !== null; ) {
      const page = await readDeliveries(db, 'whk_1', { after, limit: 100 }, limits);
      told.push(page.items);
      after = page.nextCursor;
    }
    expect(told.map(({ length }) => length)).toEqual([3, 3, 1]);
    expect(told.flat().map(({ id }) => id)).toEqual(failed.map(({ id }) => id));
    expect(told[0]![0]).toMatchObject({ event: failed[0]!.logged.event, lastAt: 1000, nextAt: 2000 });
    const due = (nowMs: number, bytesMax: number) =>
      claimDue(db, { nowMs, holdMs: 1000, countMax: 5, bytesMax, webhooks: ['whk_1'] });
    expect(await due(1999, 1e6)).toEqual([]);
    expect((await due(2000, 3000)).map(({ id }) => id).sort()).toEqual(['msg_0', 'msg_1', 'msg_2']);
    expect((await due(2000, 1)).map(({ id }) => id)).toEqual(['msg_3']); // one, however large
    expect(await due(2000, 1e6)).toHaveLength(3);
    expect(await due(3000, 1e6)).toHaveLength(5); // given back by a process that died with them
  });
});
