import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AiosError } from '../kernel/errors.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { openDatabase } from './database.ts';
import { type Lane, plannedLane, Refused, write } from './lane.ts';
import { columns } from './rows.ts';

const migrations = [
  { name: '0001_notes', sql: 'create table notes (id text primary key, body text not null)' },
];

interface Note {
  id: string;
  body: string;
}

const notes: Lane<Note, string> = {
  name: 'notes',
  order: 20,
  async write(tx, items) {
    await tx.query(
      'insert into notes select * from unnest($1::text[], $2::text[]) on conflict (id) do nothing',
      columns(items, (note) => [note.id, note.body]),
    );
    return items.map((note) => `stored ${note.id}`);
  },
};
const guard: Lane<{ allow: boolean }> = {
  name: 'guard',
  gate: true,
  order: 10,
  write: async (_tx, items) =>
    items.map((item) => (item.allow ? undefined : new Refused(new AiosError('store.conflict')))),
};

describe('group commit', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase(migrations);
  });
  afterAll(() => database.close());
  const stored = async (prefix: string) =>
    (
      await database.db.query<{ id: string }>('select id from notes where id like $1 order by id', [
        `${prefix}%`,
      ])
    ).map((row) => row.id);

  it('writes many commits in few transactions and gives each caller its own results', async () => {
    const before = database.commit.stats.flushes;
    const commits = Array.from({ length: 200 }, (_, i) =>
      database.commit.commit([write(notes, { id: `many-${i}`, body: 'x' })]),
    );
    const results = await Promise.all(commits);
    expect(results.map(([result]) => result)).toEqual(
      Array.from({ length: 200 }, (_, i) => `stored many-${i}`),
    );
    expect(database.commit.stats.flushes - before).toBeLessThan(10);
    expect(await stored('many-')).toHaveLength(200);
  });

  it('finds the one row that Postgres refuses and commits its neighbours', async () => {
    const bodies = ['a', 'b', 'nul \u0000 inside', 'd', 'e'];
    const outcomes = await Promise.allSettled(
      bodies.map((body, i) => database.commit.commit([write(notes, { id: `bad-${i}`, body })])),
    );
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect((outcomes[2] as PromiseRejectedResult).reason).toMatchObject({ code: 'store.refused_value' });
    expect(await stored('bad-')).toEqual(['bad-0', 'bad-1', 'bad-3', 'bad-4']);
  });

  it('tells what was refused, and not that the transaction was over for the others', async () => {
    // Its refusal is told after the other lane has found the transaction failed.
    const late: Lane<Note, string> = {
      ...notes,
      name: 'late',
      order: 15,
      write: (tx, items) =>
        notes.write(tx, items).catch(async (error: unknown) => {
          await new Promise((resolve) => setTimeout(resolve, 20));
          throw error;
        }),
    };
    const both = [
      write(late, { id: 'cause-1', body: 'nul \u0000 inside' }),
      write(notes, { id: 'cause-2', body: 'x' }),
    ];
    await expect(database.commit.commit(both)).rejects.toMatchObject({ code: 'store.refused_value' });
    expect(await stored('cause-')).toEqual([]);
  });

  it('drops every write of a commit that a gate refuses, and no other', async () => {
    const outcomes = await Promise.allSettled([
      database.commit.commit([write(notes, { id: 'gate-1', body: 'x' }), write(guard, { allow: true })]),
      database.commit.commit([write(notes, { id: 'gate-2', body: 'x' }), write(guard, { allow: false })]),
      database.commit.commit([write(notes, { id: 'gate-3', body: 'x' })]),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await stored('gate-')).toEqual(['gate-1', 'gate-3']);
  });

  it('outlives the loss of its connection', async () => {
    await database.commit.commit([write(notes, { id: 'lost-1', body: 'x' })]);
    await database.db.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
    await database.commit.commit([write(notes, { id: 'lost-2', body: 'x' })]);
    expect(await stored('lost-')).toEqual(['lost-1', 'lost-2']);
  });

  it('refuses more than the queue may hold, with the limit named', async () => {
    const small = await createTestDatabase(migrations, 'commitQueueMax=2');
    const note = (id: string) => write(notes, { id, body: 'x' });
    const first = small.commit.commit([note('q-1')]);
    await expect(small.commit.commit([note('q-2'), note('q-3')])).rejects.toMatchObject({
      code: 'request.overloaded',
      extensions: { limitName: 'commitQueueMax', limit: 2 },
    });
    await small.commit.commit([note('q-4')]);
    await first;
    await small.close();
  });

  it('takes one that is larger than the queue when nothing waits', async () => {
    const small = await createTestDatabase(migrations, 'commitQueueMax=1');
    const both = ['q-5', 'q-6'].map((id) => write(notes, { id, body: 'x' }));
    await expect(small.commit.commit(both)).resolves.toHaveLength(2);
    await small.close();
  });

  it('writes nothing after it has rolled back, though a lane had another statement to send', async () => {
    // The second statement of `two` comes after the refusal of `late` has arrived.
    let sent: Promise<unknown> | undefined;
    const two: Lane<Note> = {
      name: 'two',
      order: 15,
      async write(tx, items) {
        await tx.query('select 1');
        await new Promise((resolve) => setTimeout(resolve, 20));
        sent = Promise.allSettled([notes.write(tx, items)]);
        await sent;
        return undefined;
      },
    };
    const late: Lane<string> = {
      name: 'late',
      order: 70,
      async write(tx, [text]) {
        await tx.query('select $1::int', [text]);
        return undefined;
      },
    };
    await expect(
      database.commit.commit([write(two, { id: 'alone', body: 'x' }), write(late, 'no number')]),
    ).rejects.toMatchObject({ code: 'store.refused_value' });
    await new Promise((resolve) => setTimeout(resolve, 40));
    await sent;
    expect(await stored('alone')).toEqual([]);
  });

  describe('in one round trip', () => {
    const planned = plannedLane<Note, string>({
      name: 'planned',
      order: 20,
      plan: (items) => ({
        statements: [
          {
            text: 'insert into notes select * from unnest($1::text[], $2::text[]) on conflict (id) do nothing',
            values: columns(items, (note) => [note.id, note.body]),
          },
        ],
        results: () => items.map((note) => `stored ${note.id}`),
      }),
    });
    const plannedGuard: Lane<{ allow: boolean }> = {
      ...guard,
      plan: (items) => ({
        statements: [{ text: 'select 1 / $1::int', values: [items.every(({ allow }) => allow) ? 1 : 0] }],
      }),
    };
    const commitAll = (...writes: Parameters<TestDatabase['commit']['commit']>[0][]) =>
      Promise.allSettled(writes.map((each) => database.commit.commit(each)));

    it('gives each caller its own results', async () => {
      const outcomes = await commitAll(
        [write(planned, { id: 'once-1', body: 'x' }), write(plannedGuard, { allow: true })],
        [write(planned, { id: 'once-2', body: 'x' })],
      );
      expect(outcomes).toMatchObject([{ value: ['stored once-1', undefined] }, { value: ['stored once-2'] }]);
    });

    it('makes what fills a flush ready while the one before is under way, and commits it in its turn', async () => {
      const plans: number[] = [];
      const counted = plannedLane<Note, string>({
        ...planned,
        plan: (items) => {
          plans.push(items.length);
          return planned.plan!(items)!;
        },
      });
      const blocker = await database.db.connect();
      await blocker.query('begin');
      await blocker.query('lock table notes');
      const commitMany = (from: number, count: number) =>
        Array.from({ length: count }, (_, n) =>
          database.commit.commit([
            write(counted, { id: `ahead-${from + n}`, body: from === 0 ? 'first' : 'later' }),
          ]),
        );
      const order: string[] = [];
      const held = commitMany(0, 1);
      held[0]!.then(() => order.push('held'));
      await vi.waitFor(() => expect(plans).toEqual([1]));
      const large = commitMany(0, 700); // the first of them is there by then
      large[699]!.then(() => order.push('large'));
      await vi.waitFor(() => expect(plans).toEqual([1, 700]));
      const last = commitMany(700, 1);
      last[0]!.then(() => order.push('last'));
      expect(order).toEqual([]);
      await blocker.query('rollback');
      await blocker.close();
      const results = await Promise.all([...large, ...last]);
      expect(results.map(([result]) => result)).toEqual(
        Array.from({ length: 701 }, (_, n) => `stored ahead-${n}`),
      );
      expect(order).toEqual(['held', 'large', 'last']);
      expect(plans).toEqual([1, 700, 1]);
    });

    it('drops what a gate refuses, and what Postgres refuses, and no other', async () => {
      const outcomes = await commitAll(
        [write(planned, { id: 'turn-1', body: 'x' }), write(plannedGuard, { allow: false })],
        [write(planned, { id: 'turn-2', body: 'nul \u0000 inside' })],
        [write(planned, { id: 'turn-3', body: 'x' })],
      );
      expect(outcomes).toMatchObject([
        { reason: { code: 'store.conflict' } },
        { reason: { code: 'store.refused_value' } },
        { value: ['stored turn-3'] },
      ]);
      expect(await stored('turn-')).toEqual(['turn-3']);
    });

    it('writes nothing when what is to be sent cannot be put together', async () => {
      const broken = plannedLane<string>({
        name: 'broken',
        order: 30,
        plan: () => {
          throw new AiosError('store.refused_value');
        },
      });
      const outcomes = await commitAll(
        [write(planned, { id: 'whole-1', body: 'x' }), write(broken, '')],
        [write(planned, { id: 'whole-2', body: 'x' })],
      );
      expect(outcomes).toMatchObject([{ reason: { code: 'store.refused_value' } }, { status: 'fulfilled' }]);
      expect(await stored('whole-')).toEqual(['whole-2']);
    });
  });
});

it('a statement of the pool that takes too long is given up, with the limit named', async () => {
  const { target, close } = await createTestDatabase([]);
  const db = await openDatabase(target, 1, 50);
  await expect(db.query('select pg_sleep(5)')).rejects.toMatchObject({ code: 'store.too_slow' });
  const writer = await db.connect();
  await writer.query('select pg_sleep(0.2)');
  await writer.close();
  await db.close();
  await close();
});
