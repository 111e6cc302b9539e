import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../kernel/json.ts';
import { DAY } from '../features-under-test.ts';
import { literal } from '../offline/duckdb.ts';
import type { DatasetVersion } from './dataset-version.ts';
import { DatasetsUnderTest } from './datasets-under-test.ts';

const by = { kind: 'key', id: 'ann' };
const EVENTS = `
name: buyers
service: buyer
labels: [late]
entities: { events: { type: order, keys: { customer: data.customer }, values: { late: data.late } } }
split: { by: time, train: 0.5, valid: 0.25, test: 0.25 }
`;
const GIVEN = 'name: given\nviews: [customer-orders]\nlabels: [bad]\nretention: 30d';
const HASHED = `
name: hashed
service: buyer
entities: { events: { type: order, keys: { customer: data.customer } } }
split: { by: hash, train: 0.5, test: 0.5 }
`;

let world: DatasetsUnderTest;
beforeAll(async () => {
  world = await DatasetsUnderTest.open([EVENTS, GIVEN, HASHED]);
});
afterAll(() => world.close());

/** What the file of a version holds. */
function read(version: DatasetVersion, order = 'timestamp'): Promise<JsonObject[]> {
  return world.datasets.job([], async (duck) => {
    const path = `${duck.folder}/read.parquet`;
    await world.datasets.writeTo(path, version);
    return duck.all<JsonObject>(`select * from read_parquet(${literal(path)}) order by ${order}`);
  });
}

const rows = (count: number, bad = false): JsonObject[] =>
  Array.from({ length: count }, (_, at) => ({
    customer: `c-${at % 3}`,
    timestamp: new Date((20 + at) * DAY).toISOString(),
    bad: bad && at === 0,
  }));

describe('a version from events', () => {
  let version: DatasetVersion;
  beforeAll(async () => {
    ({ version } = await world.create({ name: 'buyers', by }));
  });

  test('each event is a row, without what it contributes itself', async () => {
    const held = await read(version);
    expect(held).toHaveLength(40);
    // The orders of c-0 on days 0, 3, 6 and 9: the fourth sees the three before it.
    expect(held[9]).toMatchObject({ customer: 'c-0', orders: 3, spend: 10 + 13 + 16, late: false });
    expect((held[9]!.timestamp as unknown as Date).getTime()).toBe(9 * DAY);
    expect(held[0]).toMatchObject({ orders: 0, late: true });
  });

  test('columns tell their types and roles', () => {
    expect(version.columns.map(({ name, type, role }) => `${name} ${type} ${role}`)).toEqual([
      'customer string key',
      'timestamp timestamp timestamp',
      'late boolean label',
      'orders int64 feature',
      'spend float64 feature',
      'mean_spend float64 feature',
      'split string split',
    ]);
  });

  test('parts follow each other in time', async () => {
    const held = await read(version);
    expect(held.map(({ split }) => split)).toEqual([
      ...Array(20).fill('train'),
      ...Array(10).fill('valid'),
      ...Array(10).fill('test'),
    ]);
    expect(version.parts).toEqual({ train: 20, valid: 10, test: 10 });
  });

  test('the same content is the same version, and one entry in the audit log', async () => {
    const again = await world.create({ name: 'buyers', by });
    expect(again).toMatchObject({
      isNew: false,
      version: { version: version.version, digest: version.digest },
    });
    expect(world.changes.filter(({ dataset }) => dataset === 'buyers')).toHaveLength(1);
  });

  test('it pins what made it', () => {
    expect(version.query).toMatchObject({
      service: 'buyer',
      pins: [
        { kind: 'feature-service', name: 'buyer', version: '1' },
        { kind: 'feature-view', name: 'customer-orders', version: '1' },
      ],
      entities: { events: { type: 'order' } },
    });
  });

  test('its profile is that of its columns', () => {
    expect(version.profile.late).toMatchObject({
      nulls: 0,
      distinct: 2,
      top: [
        ['false', 32],
        ['true', 8],
      ],
    });
    expect(version.profile.orders).toMatchObject({ min: 0, max: 13, mean: (14 * 13 + 13 * 12 * 2) / 2 / 40 });
    expect(version.profile.orders!.histogram!.reduce((sum, count) => sum + count)).toBe(40);
    expect(version.profile.timestamp).toMatchObject({ max: new Date(39 * DAY).toISOString() });
  });
});

describe('a version from rows that are given', () => {
  test('holds all features of its views beside them', async () => {
    const { version } = await world.create({ name: 'given', source: { rows: rows(6) }, by });
    expect((await read(version))[3]).toMatchObject({ customer: 'c-0', orders: 8, bad: false });
  });

  test('keeps its number when it is made again in another order, and is another one when a row differs', async () => {
    const first = await world.create({ name: 'given', source: { rows: rows(6) }, by });
    const turned = await world.create({ name: 'given', source: { rows: rows(6).reverse() }, by });
    expect(turned).toMatchObject({ isNew: false, version: { version: first.version.version } });
    const other = await world.create({ name: 'given', source: { rows: rows(6, true) }, by });
    expect(other).toMatchObject({ isNew: true, version: { version: first.version.version + 1 } });
    expect(other.version.digest).not.toBe(first.version.digest);
  });

  test.each([
    ['csv', 'customer,timestamp,bad\nc-0,1970-01-21 00:00:00,true\nc-1,1970-01-22T00:00:00Z,\n'],
    [
      'jsonl',
      '{"customer":"c-0","timestamp":"1970-01-21","bad":true}\n{"customer":"c-1","timestamp":1814400000}\n',
    ],
  ] as const)('reads %s, times without a zone in UTC', async (format, text) => {
    const content = Readable.from([Buffer.from(text)]);
    const { version } = await world.create({
      name: 'given',
      source: { file: { content, format } },
      by,
    });
    const held = await read(version);
    expect(held.map(({ timestamp }) => (timestamp as unknown as Date).getTime())).toEqual([
      20 * DAY,
      21 * DAY,
    ]);
    expect(held).toMatchObject([
      { customer: 'c-0', orders: 7, bad: true },
      { customer: 'c-1', orders: 7, bad: null },
    ]);
  });

  test('reads Parquet', async () => {
    const { version: first } = await world.create({ name: 'given', source: { rows: rows(2) }, by });
    const content = await world.datasets.job([], async (duck) => {
      const [from, to] = [`${duck.folder}/a.parquet`, `${duck.folder}/b.parquet`];
      await world.datasets.writeTo(from, first);
      await duck.run(
        `copy (select customer, timestamp, bad from read_parquet(${literal(from)})) to ${literal(to)} (format parquet)`,
      );
      const { readFile } = await import('node:fs/promises');
      return readFile(to);
    });
    const again = await world.create({
      name: 'given',
      source: { file: { content: Readable.from([content]), format: 'parquet' } },
      by,
    });
    expect(again).toMatchObject({ isNew: false, version: { digest: first.digest } });
  });

  test.each([
    ['a row has no time', [{ customer: 'c-0', bad: true }], /Row 1 has no timestamp/],
    ['there is no row', [], /no entity row/],
    ['a label is missing', [{ customer: 'c-0', timestamp: '2020-01-01' }], /the label bad/],
    ['a name is taken', [{ customer: 'c-0', timestamp: '2020-01-01', Orders: 1, bad: true }], /“Orders”/],
  ])('is refused when %s', async (_, given, detail) => {
    await expect(
      world.create({ name: 'given', source: { rows: given as JsonObject[] }, by }),
    ).rejects.toMatchObject({ code: 'datasets.entity_rows', message: expect.stringMatching(detail) });
  });

  test('is refused without rows, and past the number of rows', async () => {
    await expect(world.create({ name: 'given', by })).rejects.toMatchObject({
      code: 'datasets.entity_rows',
    });
    await expect(world.create({ name: 'nothing', by })).rejects.toMatchObject({
      code: 'datasets.unknown_dataset',
    });
  });
});

test('a split by hash keeps the rows of a key together', async () => {
  const { version } = await world.create({ name: 'hashed', by });
  const parts = Map.groupBy(await read(version), ({ customer }) => customer);
  expect(parts.size).toBe(3);
  for (const held of parts.values()) expect(new Set(held.map(({ split }) => split)).size).toBe(1);
});

test('versions that are made at one time get numbers of their own', async () => {
  const made = await Promise.all(
    [50, 60].map((count) => world.create({ name: 'given', source: { rows: rows(count) }, by })),
  );
  expect(new Set(made.map(({ version }) => version.version)).size).toBe(2);
});
