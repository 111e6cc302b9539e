import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.ts';
import { definitionMigrations } from '../../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { EventConsumers } from '../consumers.ts';
import { event } from '../event-under-test.ts';
import { EventLog } from '../log.ts';
import { eventMigrations } from '../migrations.ts';

const LIMITS = 'consumerLeaseMs=1200,consumerPollMs=50,consumerBatchMax=16';

/** A process of its own, and the partitions that it says it has. */
class Member {
  readonly process: ChildProcess;
  partitions: number[] = [];

  constructor(url: string, name: string) {
    const file = join(import.meta.dirname, 'group-member-under-test.ts');
    this.process = spawn(process.execPath, [file, url, name, LIMITS], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface({ input: this.process.stdout! }).on('line', (line) => {
      this.partitions = line.split(' ').filter(Boolean).map(Number);
    });
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill(signal);
    await once(this.process, 'exit');
  }
}

describe('processes that share a consumer group', () => {
  let database: TestDatabase;
  let log: EventLog;
  let members: Member[] = [];
  beforeAll(async () => {
    database = await createTestDatabase(
      [
        ...definitionMigrations,
        ...eventMigrations,
        {
          name: '0029_handled',
          sql: 'create table handled (seq bigserial, member text, partition smallint, log_offset bigint, id text, primary key (partition, log_offset))',
        },
      ],
      LIMITS,
    );
    log = new EventLog({ ...database, clock: systemClock });
  });
  afterEach(async () => {
    await Promise.all(members.map((member) => member.end('SIGKILL')));
    members = [];
  });
  afterAll(() => database.close());

  const start = (name: string) => {
    const member = new Member(database.url, name);
    members.push(member);
    return member;
  };
  const until = async (isSo: () => boolean | Promise<boolean>) => {
    while (!(await isSo())) await sleep(10);
  };
  const shares = (...of: Member[]) => of.map(({ partitions }) => partitions.length).sort();
  const held = (...of: Member[]) => of.flatMap(({ partitions }) => partitions).sort((a, b) => a - b);
  let count = 0;
  const append = async (events: number) => {
    const batch = Array.from({ length: events }, () =>
      event(`e${count++}`, { partitionkey: `k${count % 40}` }),
    );
    for (const outcome of await log.append(batch)) expect(outcome.status).toBe('fulfilled');
  };
  const handled = async () => {
    const [row] = await database.db.query<{ count: number }>('select count(*) as count from handled');
    return row!.count;
  };
  /** Each event once (the key of the table), in the order of its partition. */
  const expectInOrder = async () => {
    const rows = await database.db.query<{ partition: number }>(
      `select partition from (select partition, log_offset,
         lag(log_offset, 1, -1::bigint) over (partition by partition order by seq) as before from handled) h
       where log_offset <> before + 1`,
    );
    expect(rows).toEqual([]);
  };

  it('divide its partitions, and again as they come, go and die: each event is handled once and in order', async () => {
    const a = start('a');
    await until(() => a.partitions.length === 8);
    await append(200);
    const b = start('b');
    await until(() => shares(a, b).join() === '4,4');
    await append(200);
    const c = start('c');
    await until(() => shares(a, b, c).join() === '2,3,3' && held(a, b, c).join() === '0,1,2,3,4,5,6,7');
    await append(200);
    await b.end('SIGTERM');
    await until(() => shares(a, c).join() === '4,4');
    await append(400);
    await sleep(5);
    await c.end('SIGKILL');
    await until(() => a.partitions.length === 8);
    await append(200);
    await until(async () => (await handled()) === 1200);
    await expectInOrder();
  });

  it('go on for one that stands still once its lease is over; what it wakes up with is refused', async () => {
    const before = await handled();
    const [a, b] = [start('a2'), start('b2')];
    await until(() => shares(a, b).join() === '4,4');
    const own = a.partitions;
    for (let round = 0; round < 5; round++) {
      await append(100);
      await sleep(10);
    }
    a.process.kill('SIGSTOP'); // in the middle of a batch or between two
    await append(200);
    await until(() => b.partitions.length === 8);
    await append(200);
    await until(async () => (await handled()) === before + 900);
    a.process.kill('SIGCONT');
    await append(200);
    await until(async () => (await handled()) === before + 1100);
    await until(() => shares(a, b).join() === '4,4');
    await expectInOrder();
    expect(own).toHaveLength(4);
  });

  it('wakes those that own the partition of an event, whoever appended it', async () => {
    const group = (name: string, seen: string[]) => {
      const consumers = new EventConsumers({
        ...database,
        log: name === 'a' ? log : new EventLog({ ...database, clock: systemClock }),
        limits: { ...database.limits, consumerPollMs: 200, consumerLeaseMs: 60_000 },
      });
      consumers.add({
        group: 'woken',
        from: 'latest',
        handle: async (events) => () => seen.push(...events.map((logged) => logged.event.id)),
      });
      return consumers;
    };
    const seen: string[][] = [[], []];
    const [a, b] = [group('a', seen[0]!), group('b', seen[1]!)];
    await a.start();
    await b.start();
    await until(() => a.partitions('woken').length === 4 && b.partitions('woken').length === 4);
    await append(100);
    await until(() => seen.flat().length === 100);
    expect(new Set(seen.flat()).size).toBe(100);
    expect(seen[0]!.length).toBeGreaterThan(0);
    expect(seen[1]!.length).toBeGreaterThan(0);
    await Promise.all([a.stop(), b.stop()]);
  });
});
