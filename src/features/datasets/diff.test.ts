import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../kernel/json.ts';
import { DAY } from '../features-under-test.ts';
import { DatasetsUnderTest } from './datasets-under-test.ts';
import { type DatasetDiff, diffVersions } from './diff.ts';

const by = { kind: 'key', id: 'ann' };

describe('what is not the same in two versions', () => {
  let world: DatasetsUnderTest;
  let diff: DatasetDiff;

  const row = (day: number, values: JsonObject): JsonObject => ({
    customer: `c-${day % 3}`,
    timestamp: new Date(day * DAY).toISOString(),
    ...values,
  });
  const make = async (rows: readonly JsonObject[]) =>
    (await world.create({ name: 'given', source: { rows }, by })).version;

  beforeAll(async () => {
    world = await DatasetsUnderTest.open(['name: given\nviews: [customer-orders]']);
    const days = Array.from({ length: 30 }, (_, day) => day);
    const one = await make([
      ...days.map((day) => row(day, { amount: day, note: 'a' })),
      row(5, { amount: 5, note: 'b' }),
    ]);
    const two = await make([
      ...days
        .slice(1)
        .map((day) => row(day, { amount: day === 7 ? 700 : day + 0.5 * Number(day === 9), channel: 'web' })),
      row(30, { amount: 30, channel: 'shop' }),
      row(31, { amount: 31, channel: 'shop' }),
    ]);
    diff = await diffVersions(world.datasets, one, two);
  });
  afterAll(() => world.close());

  test('columns', () => {
    expect(diff.schema.added).toMatchObject([{ name: 'channel', type: 'string' }]);
    expect(diff.schema.removed).toMatchObject([{ name: 'note' }]);
    expect(diff.schema.changed).toMatchObject([
      { from: { name: 'amount', type: 'int64' }, to: { type: 'float64' } },
    ]);
  });

  test('rows, by keys and time', () => {
    // 30 + 1 rows against 29 + 2: day 0 and the second of day 5 are gone.
    expect(diff.rows).toMatchObject({ added: 2, removed: 2 });
    expect(
      diff.rows.examples.filter(({ change }) => change === 'added').map(({ key }) => key.customer),
    ).toEqual(['c-0', 'c-1']);
  });

  test('values', () => {
    expect(diff.rows.columns).toEqual({ amount: 2 });
    const changed = diff.rows.examples.filter(({ change }) => change === 'changed');
    expect(changed).toMatchObject([
      { key: { customer: 'c-1' }, columns: { amount: [7, 700] } },
      { columns: { amount: [9, 9.5] } },
    ]);
  });

  test('how columns lie', () => {
    const shift = (column: string) => diff.shifts.find((each) => each.column === column)!;
    expect(shift('amount').mean![1]).toBeGreaterThan(shift('amount').mean![0]);
    expect(shift('amount').psi).toBeGreaterThan(0);
    expect(shift('customer').psi).toBeNull();
    expect(shift('timestamp').psi).toBeNull();
  });

  test('is told of keys whose type changed, and of columns with the names that the comparison has for its own', async () => {
    const odd = (account: number | string, values: JsonObject) => row(1, { ...values, customer: account });
    const own = { place: 1, change: 'x', is_both: true, d0: 1, x0: 2, y0: 3 };
    const one = await make([odd(7, own), odd(8, own)]);
    const two = await make([odd('7', { ...own, place: 2, change: 'y' }), odd('a8', own)]);
    const { rows } = await diffVersions(world.datasets, one, two);
    expect(rows).toMatchObject({
      added: 1,
      removed: 1,
      changed: 1,
      unchanged: 0,
      columns: { change: 1, place: 1 },
    });
    expect(rows.examples).toMatchObject([
      { change: 'changed', key: { customer: '7' }, columns: { change: ['x', 'y'], place: [1, 2] } },
      { change: 'added', key: { customer: 'a8' } },
      { change: 'removed', key: { customer: '8' } },
    ]);
  });

  test('is nothing between a version and itself', async () => {
    const one = await world.datasets.version('given', 1);
    const none = await diffVersions(world.datasets, one, one);
    expect(none.rows).toMatchObject({ added: 0, removed: 0, changed: 0, unchanged: 31, examples: [] });
    expect(none.shifts.every(({ psi }) => psi === null || psi === 0)).toBe(true);
  });
});
