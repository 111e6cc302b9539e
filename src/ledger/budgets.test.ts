import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../kernel/clock.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { budgetMigrations } from './budget-lanes.ts';
import { Budgets } from './budgets.ts';

const NOON = Date.UTC(2026, 4, 5, 12, 30);

describe('budgets', () => {
  let store: TestDatabase;
  const clock = new ManualClock(NOON);
  const open = () => new Budgets({ db: store.db, clock, limits: store.limits });

  beforeAll(async () => {
    store = await createTestDatabase(budgetMigrations);
  });
  afterAll(() => store.close());

  const put = async (budgets: Budgets, name: string, rest: object = {}) => {
    const budget = {
      name,
      scope: 'model' as const,
      subject: name,
      period: 'day' as const,
      tokensMax: 1_000,
      amountMicroUsdMax: null,
      ...rest,
    };
    await store.commit.commit([budgets.put(budget)]);
    await budgets.refresh();
  };
  const call = (model: string, tokens: number, key = 'key_1', amountMicroUsd = 0) => ({
    key,
    model,
    tokens,
    amountMicroUsd,
  });

  it('ask the database nothing for a call that none is over', async () => {
    const budgets = open();
    await budgets.refresh();
    expect(budgets.reserve(call('nobody', 5))).toBeUndefined();
  });

  it('are seen after a refresh, also where a reading had begun before they were committed', async () => {
    const gate = Promise.withResolvers<void>();
    const late: TestDatabase['db'] = {
      ...store.db,
      transaction: (work) => store.db.transaction(work),
      async query<Row extends object>(text: string, values?: readonly unknown[]) {
        const rows = await store.db.query<Row>(text, values);
        await gate.promise;
        return rows;
      },
    };
    const budgets = new Budgets({ db: late, clock, limits: store.limits });
    const early = budgets.refresh();
    const seen = put(budgets, 'just-now', { tokensMax: 0 });
    await expect.poll(() => store.db.query("select from budgets where name = 'just-now'")).toHaveLength(1);
    gate.resolve();
    await Promise.all([early, seen]);
    await expect(budgets.reserve(call('just-now', 1))).rejects.toMatchObject({ code: 'budgets.exceeded' });
  });

  it('are overrun by at most what one call may use, by however many at one time in several processes', async () => {
    const processes = [open(), open(), open()];
    await put(processes[0]!, 'shared');
    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, (_, i) => processes[i % 3]!.reserve(call('shared', 300))),
    );
    const held = outcomes.filter(({ status }) => status === 'fulfilled');
    expect(held).toHaveLength(4); // 3 × 300 is less than 1000: a fourth may begin
    const refused = outcomes.find((outcome) => outcome.status === 'rejected');
    expect(refused?.reason).toMatchObject({
      code: 'budgets.exceeded',
      extensions: expect.objectContaining({ budget: 'shared', retryAfterMs: 11.5 * 3_600_000 }),
    });
  });

  it('say what is left of the one with the fewest tokens, calls under way taken off', async () => {
    const budgets = open();
    await put(budgets, 'wide', { subject: 'told', tokensMax: 10_000 });
    await put(budgets, 'narrow', { subject: 'told', tokensMax: 1_000 });
    await put(budgets, 'money', { subject: 'told', tokensMax: null, amountMicroUsdMax: 5_000_000 });
    const window = { unit: 'tokens', resetMs: 11.5 * 3_600_000, windowMs: 24 * 3_600_000 };
    const narrow = { ...window, name: 'narrow', limit: 1_000 };
    expect((await budgets.reserve(call('told', 600)))?.quota).toEqual({ ...narrow, remaining: 400 });
    expect((await budgets.reserve(call('told', 600)))?.quota).toEqual({ ...narrow, remaining: 0 });
    await expect(budgets.reserve(call('told', 1))).rejects.toMatchObject({
      extensions: { budget: 'narrow', quota: { ...narrow, remaining: 0 } },
    });
    await put(budgets, 'dear', { subject: 'paid', tokensMax: null, amountMicroUsdMax: 1_000 });
    expect((await budgets.reserve(call('paid', 1)))?.quota).toBeUndefined();
  });

  it('give back what a call did not use, and count what it did once', async () => {
    const budgets = open();
    await put(budgets, 'settled');
    const held = (await budgets.reserve(call('settled', 1_000)))!;
    await expect(budgets.reserve(call('settled', 1))).rejects.toMatchObject({ code: 'budgets.exceeded' });
    const settle = () => store.commit.commit([budgets.settle(held, { tokens: 40, amountMicroUsd: 7 })]);
    await settle();
    await settle(); // a commit whose answer was lost is sent again
    const use = (await budgets.list()).find(({ name }) => name === 'settled');
    expect(use?.uses).toEqual([
      { subject: 'settled', tokens: 40, amountMicroUsd: 7, reservedTokens: 0, reservedMicroUsd: 0 },
    ]);
    expect(await budgets.reserve(call('settled', 1))).toBeDefined();
  });

  it('count each key apart under *, bound money, and begin anew with the period', async () => {
    const budgets = open();
    const bound = { scope: 'key', subject: '*', period: 'hour', tokensMax: null, amountMicroUsdMax: 500 };
    await put(budgets, 'per-key', bound);
    await budgets.reserve(call('any', 1, 'key_a', 500));
    await expect(budgets.reserve(call('any', 1, 'key_a', 1))).rejects.toMatchObject({
      message: expect.stringContaining('$0.000500 of $0.000500'),
    });
    await budgets.reserve(call('any', 1, 'key_b', 500));
    clock.advanceBy(30 * 60_000);
    await budgets.reserve(call('any', 1, 'key_a', 500));
    await store.commit.commit([budgets.remove('per-key')]);
    await budgets.refresh();
    expect(budgets.reserve(call('any', 1, 'key_a', 500))).toBeUndefined();
    await expect(budgets.get('per-key')).rejects.toMatchObject({ code: 'budgets.unknown' });
  });

  it('forget what a process that died had held back', async () => {
    const budgets = open();
    await put(budgets, 'crashed', { period: 'month' });
    await budgets.reserve(call('crashed', 1_000));
    await expect(budgets.reserve(call('crashed', 1))).rejects.toMatchObject({ code: 'budgets.exceeded' });
    clock.advanceBy(2 * store.limits.chatAnswerMs + 1);
    expect(await budgets.reserve(call('crashed', 1))).toBeDefined();
  });
});
