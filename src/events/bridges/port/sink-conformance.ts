import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../kernel/clock.ts';
import type { LoggedEvent } from '../../../kernel/cloudevent.ts';
import { AiosError } from '../../../kernel/errors.ts';
import { definitionMigrations } from '../../../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../../../testing/database.ts';
import { EventConsumers } from '../../consumers.ts';
import { event } from '../../event-under-test.ts';
import { EventLog } from '../../log.ts';
import { eventMigrations } from '../../migrations.ts';
import { bridgeCounters } from '../running/bridge-metrics.ts';
import { bridgeConsumer } from '../running/sink-consumer.ts';
import { TOLERANT } from '../running/tolerance-under-test.ts';
import type { EventSink } from './event-source.ts';
import type { SinkContext } from './protocol.ts';

/** The other side of a sink, as its test has it. */
export interface Receiver {
  /** The sink as a process makes it, for a group of this name. */
  open(group: string, context?: Partial<Pick<SinkContext, 'checkPlace' | 'space'>>): EventSink;
  /** What has arrived, per partition in order. */
  received(): Promise<{ partition: number; offset: number; id: string }[]>;
}

/** What every sink must do, whatever it writes to: each event arrives once, in the order of its partition. */
export const sinkConformance = (name: string, create: () => Promise<Receiver>): void => {
  describe(`a sink: ${name}`, () => {
    let database: TestDatabase;
    let log: EventLog;
    beforeAll(async () => {
      database = await createTestDatabase(
        [...definitionMigrations, ...eventMigrations],
        'consumerPollMs=20,consumerPauseMs=1,consumerBatchMax=32',
      );
      log = new EventLog({ ...database, clock: systemClock });
    });
    afterAll(() => database.close());
    const expectOnceInOrder = async (receiver: Receiver, count: number) => {
      const received = await receiver.received();
      expect(received).toHaveLength(count);
      expect(new Set(received.map(({ id }) => id)).size).toBe(count);
      const last = new Map<number, number>();
      for (const { partition, offset } of received) {
        expect(offset).toBeGreaterThan(last.get(partition) ?? -1);
        last.set(partition, offset);
      }
    };

    it('takes each event once, though batches come again because their commit was lost', async () => {
      const receiver = await create();
      const open: EventSink[] = [];
      let chance = 0.4;
      const crashing = (group: string) => {
        const sink = receiver.open(group);
        const consumers = new EventConsumers({ ...database, log });
        const flaky: EventSink = {
          ...sink,
          async deliver(events) {
            const result = await sink.deliver(events);
            // Delivered, and not known to be.
            if (Math.random() < chance) throw new AiosError('store.unavailable');
            return result;
          },
        };
        consumers.add(
          bridgeConsumer(flaky, {
            ...{
              start: 'latest',
              batchMax: 32,
              batchBytesMax: 1_000_000,
              answerMs: 60_000,
              isSelected: () => true,
            },
            tolerance: TOLERANT,
            counters: bridgeCounters('conformance', 'test'),
            count: async () => {},
            onError: () => {},
          }),
        );
        open.push(sink);
        return consumers;
      };
      let consumers = crashing(`sink-${name}`);
      await consumers.start();
      for (let round = 0; round < 6; round++) {
        await log.append(Array.from({ length: 50 }, (_, n) => event(`${name}-${round}-${n}`)));
        if (round % 2 === 0) continue;
        await consumers.stop();
        consumers = crashing(`sink-${name}`);
        await consumers.start();
      }
      chance = 0;
      await consumers.idle();
      await consumers.stop();
      await expectOnceInOrder(receiver, 300);
      await Promise.all(open.map((sink) => sink.close?.()));
    });

    it('takes each event once, though an older process hands over what a newer one has', async () => {
      const receiver = await create();
      const [one, other] = [receiver.open('twice'), receiver.open('twice')];
      const events: LoggedEvent[] = Array.from({ length: 20 }, (_, offset) => ({
        ...{ partition: 3, offset, timeMs: 0, recordedAtMs: 0, event: event(`t${offset}`) },
      }));
      await one.deliver(events.slice(0, 12));
      await other.deliver(events.slice(5, 20));
      await one.deliver(events.slice(8, 15));
      await expectOnceInOrder(receiver, 20);
      await Promise.all([one.close?.(), other.close?.()]);
    });

    it('keeps its place apart from that of another database with a bridge of its name', async () => {
      const receiver = await create();
      const open: EventSink[] = [];
      const hand = async (space: string, from: number, to: number) => {
        const sink = receiver.open('namesake', { space });
        open.push(sink);
        const events = Array.from({ length: to - from }, (_, n): LoggedEvent => {
          const offset = from + n;
          return { partition: 3, offset, timeMs: 0, recordedAtMs: 0, event: event(`${space}-${offset}`) };
        });
        await sink.deliver(events);
      };
      await hand('one', 0, 10);
      await hand('other', 0, 4);
      await hand('one', 5, 12); // 5 to 9 went out before the other wrote
      await hand('other', 2, 6);
      const ids = (await receiver.received()).map(({ id }) => id);
      const of = (space: string, count: number) => Array.from({ length: count }, (_, n) => `${space}-${n}`);
      expect(ids.filter((id) => id.startsWith('one'))).toEqual(of('one', 12));
      expect(ids.filter((id) => id.startsWith('other'))).toEqual(of('other', 6));
      await Promise.all(open.map((sink) => sink.close?.()));
    });

    it('leaves nothing out for a place that the log has not reached', async () => {
      const receiver = await create();
      const events: LoggedEvent[] = Array.from({ length: 5 }, (_, offset) => ({
        ...{ partition: 3, offset, timeMs: 0, recordedAtMs: 0, event: event(`p${offset}`) },
      }));
      const before = receiver.open('ahead');
      await before.deliver(events);
      await before.close?.();
      const asked: [number, number][] = [];
      const after = receiver.open('ahead', {
        async checkPlace(...place) {
          asked.push(place);
          throw new AiosError('bridges.place_ahead');
        },
      });
      await expect(after.deliver(events.slice(0, 2))).rejects.toMatchObject({ code: 'bridges.place_ahead' });
      expect(asked).toEqual([[3, 4]]);
      await after.close?.();
    });
  });
};
