import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../kernel/clock.ts';
import type { LoggedEvent } from '../../../kernel/cloudevent.ts';
import { limitsFrom } from '../../../kernel/limits.ts';
import { definitionMigrations } from '../../../store/definitions.ts';
import { createTestDatabase } from '../../../testing/database.ts';
import { EventConsumers } from '../../consumers.ts';
import { event } from '../../event-under-test.ts';
import { EventLog } from '../../log.ts';
import { eventMigrations } from '../../migrations.ts';
import { bridgeCounters } from './bridge-metrics.ts';
import { bridgeConsumer } from './sink-consumer.ts';
import { TOLERANT } from './tolerance-under-test.ts';

const { bridgeBatchMax: batchMax, bridgeBatchBytesMax: batchBytesMax, consumerBatchMax } = limitsFrom();
const MEGABYTE = 1024 * 1024;

describe('the batches of a sink', () => {
  const sinkOf = (batches: number[]) =>
    bridgeConsumer(
      {
        group: 'bridge:out',
        async deliver(events) {
          batches.push(events.length);
          return { undone: [] };
        },
      },
      {
        ...{ start: 'earliest', batchMax, batchBytesMax, answerMs: 60_000, isSelected: () => true },
        count: async () => {},
        tolerance: TOLERANT,
        counters: bridgeCounters('out', 'test'),
        onError: () => {},
      },
    );
  const logged = (offset: number, bytes: number): LoggedEvent => ({
    ...{ partition: 0, offset, timeMs: 0, recordedAtMs: 0 },
    event: event(`e${offset}`, { data: 'x'.repeat(bytes) }),
  });

  it('are as many as their bytes allow, by what the batch before was of', async () => {
    const consumer = sinkOf([]);
    expect(consumer.room!()).toBeLessThanOrEqual(consumerBatchMax);
    await consumer.deliver!([logged(0, 100), logged(1, 100)]);
    expect(consumer.room!()).toBe(batchMax);
    await consumer.deliver!([logged(2, 100), logged(3, 100), logged(4, MEGABYTE)]);
    expect(consumer.room!()).toBe(batchBytesMax / MEGABYTE - 1);
    await consumer.deliver!([logged(5, 100)]);
    expect(consumer.room!()).toBe(batchMax);
  });

  it('are larger than those of a handler that holds a transaction open', async () => {
    const database = await createTestDatabase([...definitionMigrations, ...eventMigrations]);
    const log = new EventLog({ ...database, clock: systemClock });
    const consumers = new EventConsumers({ ...database, log });
    const batches: number[] = [];
    try {
      consumers.add(sinkOf(batches));
      await log.append(Array.from({ length: 4_000 }, (_, n) => event(`e${n}`, { partitionkey: String(n) })));
      await consumers.start();
      await consumers.idle();
      expect(batches.reduce((sum, count) => sum + count, 0)).toBe(4_000);
      expect(Math.max(...batches)).toBeGreaterThan(consumerBatchMax);
      expect(Math.max(...batches)).toBeLessThanOrEqual(batchMax);
    } finally {
      await consumers.stop();
      await database.close();
    }
  });
});
