import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../kernel/json.ts';
import { entityKind, featureViewKind } from '../definitions.ts';
import { literal } from '../offline/duckdb.ts';
import { datasetKind } from './dataset-kind.ts';
import type { DatasetVersion } from './dataset-version.ts';
import { DatasetsUnderTest } from './datasets-under-test.ts';
import { diffVersions } from './diff.ts';
import type { RowFormat } from './entity-rows.ts';

const by = { kind: 'key', id: 'ann' };
const AT = '1970-01-21T00:00:00Z';
const PAST_2_53 = '9007199254740993';

describe('entity rows that are odd', () => {
  let world: DatasetsUnderTest;
  beforeAll(async () => {
    world = await DatasetsUnderTest.open(['name: texts\nviews: [customer-orders]']);
    const { features, process } = world;
    await features.put(entityKind, 'name: account\njoinKeys: [account]\ntypes: { account: int64 }');
    await features.put(
      featureViewKind,
      'name: scores\nentity: account\nsource: { push: scores }\nfeatures: { score: { type: float64 } }',
    );
    await features.put(
      datasetKind,
      'name: numbers\nviews: [scores]\nsplit: { by: hash, train: 0.5, test: 0.5 }',
    );
    await process.definitions.reload();
  });
  afterAll(() => world.close());

  const made = async (rows: readonly JsonObject[], name = 'texts') =>
    (await world.create({ name, source: { rows }, by })).version;
  const uploaded = async (content: string | Uint8Array, format: RowFormat, name = 'texts') => {
    const file = { content: Readable.from([Buffer.from(content)]), format };
    return (await world.create({ name, source: { file }, by })).version;
  };
  const parquet = (select: string) =>
    world.datasets.job([], async (duck) => {
      const path = `${duck.folder}/given.parquet`;
      await duck.run(`copy (${select}) to ${literal(path)} (format parquet)`);
      return readFile(path);
    });
  /** Its rows as JSON, in the order of their times. */
  const read = (version: DatasetVersion): Promise<JsonObject[]> =>
    world.datasets.job([], async (duck) => {
      const path = `${duck.folder}/read.parquet`;
      await world.datasets.writeTo(path, version);
      const rows = await duck.all<{ row: string }>(
        `select to_json(r)::varchar as row from read_parquet(${literal(path)}) r order by timestamp`,
      );
      return rows.map(({ row }) => JSON.parse(row) as JsonObject);
    });
  const typesOf = ({ columns }: DatasetVersion) =>
    Object.fromEntries(columns.map(({ name, type }) => [name, type]));

  test.each([
    ['2026-02-30T00:00:00Z'], // not the 2nd of March
    ['2026-01-05T24:30:00Z'],
    ['Jan 5 2026'], // in the zone of the machine
    ['Row 2026'],
    [''],
    [1e20],
    [8.64e15 + 2],
    [true],
    [null],
  ])('with the time %j are refused by their number', async (timestamp) => {
    await expect(
      made([
        { customer: 'c-0', timestamp: AT },
        { customer: 'c-0', timestamp },
      ]),
    ).rejects.toMatchObject({ code: 'datasets.entity_rows', message: expect.stringContaining('Row 2 has') });
  });

  test('are as of a whole millisecond, before 1970 and past the year 9999 too', async () => {
    const times = [8.64e15, 568_971_820_800_000, 1.9, '1969-12-31T23:59:59.9999Z', '0001-01-01', -8.64e15];
    const { profile } = await made(times.map((timestamp) => ({ customer: 'c-0', timestamp })));
    expect(profile.timestamp).toMatchObject({
      min: '-271821-04-20T00:00:00.000Z',
      max: '+275760-09-13T00:00:00.000Z',
      distinct: 6,
    });
    const { profile: near } = await made(
      times.slice(2, 4).map((timestamp) => ({ customer: 'c-0', timestamp })),
    );
    expect(near.timestamp).toMatchObject({
      min: '1969-12-31T23:59:59.999Z',
      max: '1970-01-01T00:00:00.001Z',
    });
  });

  test('of CSV and Parquet may hold what is not a number: nothing', async () => {
    const csv = `customer,timestamp,v\nc-0,1970-01-21,NaN\nc-0,1970-01-22,1.5\nc-0,1970-01-23,-inf\nNaN,1970-01-24,2\n`;
    const fromCsv = await uploaded(csv, 'csv');
    expect((await read(fromCsv)).map(({ customer, v }) => [customer, v])).toEqual([
      ['c-0', null],
      ['c-0', 1.5],
      ['c-0', null],
      ['NaN', 2],
    ]);
    const given = await parquet(
      `select 'a "NaN" \\ Infinity' as customer, '${AT}'::timestamptz as timestamp, 'nan'::double as v, [1.5, 'inf'::double] as list, '-inf'::float as w`,
    );
    expect(await read(await uploaded(given, 'parquet'))).toMatchObject([
      { customer: 'a "NaN" \\ Infinity', v: null, list: '[1.5,null]', w: null },
    ]);
  });

  test('keep whole numbers past 2^53: as text, and as keys that are numbers', async () => {
    const csv = await uploaded(
      `account,timestamp,v,w\n${PAST_2_53},1970-01-21,${PAST_2_53},1\n`,
      'csv',
      'numbers',
    );
    const file = await parquet(
      `select ${PAST_2_53}::bigint as account, '${AT}'::timestamptz as timestamp, ${PAST_2_53}::bigint as v, 1::bigint as w`,
    );
    for (const version of [csv, await uploaded(file, 'parquet', 'numbers')]) {
      expect(typesOf(version)).toMatchObject({ account: 'int64', v: 'string', w: 'int64' });
      const kept = await world.datasets.job([], async (duck) => {
        const path = `${duck.folder}/read.parquet`;
        await world.datasets.writeTo(path, version);
        return duck.all(`select account::varchar as account, v, w from read_parquet(${literal(path)})`);
      });
      expect(kept).toEqual([{ account: PAST_2_53, v: PAST_2_53, w: 1 }]);
    }
  });

  test('of JSON lines keep them too, and doubles that are written with all their digits as numbers', async () => {
    const lines = [
      `{"account":${PAST_2_53},"timestamp":"1970-01-21","v":${PAST_2_53},"d":100000000000000000000,"list":[${PAST_2_53},1e20]}`,
      // A number holds this one: only as a key it would be refused.
      '{"account":9007199254740994,"timestamp":"1970-01-22","v":9007199254740994,"d":0.5,"list":[]}',
    ];
    const version = await uploaded(lines.join('\n'), 'jsonl', 'numbers');
    expect(typesOf(version)).toMatchObject({ account: 'int64', v: 'string', d: 'float64' });
    const kept = await world.datasets.job([], async (duck) => {
      const path = `${duck.folder}/read.parquet`;
      await world.datasets.writeTo(path, version);
      return duck.all(
        `select account::varchar as account, v, d, list from read_parquet(${literal(path)}) order by timestamp`,
      );
    });
    expect(kept).toEqual([
      { account: PAST_2_53, v: PAST_2_53, d: 1e20, list: `["${PAST_2_53}",100000000000000000000]` },
      { account: '9007199254740994', v: '9007199254740994', d: 0.5, list: '[]' },
    ]);
  });

  test('of a request have keys that are no longer exact refused', async () => {
    await expect(made([{ account: 2 ** 53, timestamp: AT }], 'numbers')).rejects.toMatchObject({
      code: 'features.invalid_key',
    });
  });

  test('with a number that is out of range are refused by their number: in JSON lines, and in a column of JSON', async () => {
    const line = (v: string) => `{"customer":"c-0","timestamp":"${AT}","v":${v}}\n`;
    const file = await parquet(
      `select 'c-0' as customer, '${AT}'::timestamptz as timestamp, v::json as v from (values ('1'), ('{"a":[1e400]}')) t(v)`,
    );
    for (const [content, format] of [
      [line('1') + line('-1e400'), 'jsonl'],
      [file, 'parquet'],
    ] as const)
      await expect(uploaded(content, format)).rejects.toMatchObject({
        code: 'datasets.entity_rows',
        message: expect.stringMatching(/^Row 2: A number is out of range/),
      });
  });

  test('come into one part with the other rows of their entity, however its key is written', async () => {
    const keys = [12, '12', '012', 5, '5', 77, '77', 8, '8', 9, '9', 1_000, '1000', '', null];
    const version = await made(
      keys.map((account) => ({ account, timestamp: AT })),
      'numbers',
    );
    expect(typesOf(version)).toMatchObject({ account: 'int64' });
    const parts = Map.groupBy(await read(version), ({ account }) => account);
    expect([...parts.keys()].toSorted((a, b) => Number(a) - Number(b))).toEqual([
      null,
      ...[5, 8, 9, 12, 77, 1_000],
    ]);
    for (const rows of parts.values()) expect(new Set(rows.map(({ split }) => split)).size).toBe(1);
    expect(Object.keys(version.parts ?? {})).toEqual(['train', 'test']);
  });

  test('keep their columns by any name that a file can hold', async () => {
    const names = ['größe 😀 "x"', "it's", 'a/b', 'a.b', '$1', '__proto__', 'constructor'];
    const row = Object.fromEntries(names.map((name, at) => [name, at]));
    const version = await made([{ customer: 'c-0', timestamp: AT, ...row, ['__proto__']: 5 }]);
    expect(JSON.stringify((await read(version))[0])).toContain('"__proto__":5');
    expect(Object.keys(version.profile)).toEqual(expect.arrayContaining(names));
    expect(version.profile['größe 😀 "x"']).toMatchObject({ min: 0, max: 0 });
    expect(Object.getOwnPropertyDescriptor(version.profile, '__proto__')?.value).toMatchObject({ nulls: 0 });
    for (const name of ['', 'a\u0000b'])
      await expect(made([{ customer: 'c-0', timestamp: AT, [name]: 1 }])).rejects.toMatchObject({
        code: 'datasets.entity_rows',
        message: expect.stringContaining('no name that a file can hold'),
      });
  });

  test('lie apart by texts that are long, hold a zero byte, or are called as what every object has', async () => {
    const shiftOf = async (from: readonly string[], to: readonly string[]) => {
      const [a, b] = [from, to].map((texts) => texts.map((v) => ({ customer: 'c-0', timestamp: AT, v })));
      const { shifts } = await diffVersions(world.datasets, await made(a!), await made(b!));
      return shifts.find(({ column }) => column === 'v')!.psi;
    };
    const long = (text: string) => text.padEnd(250, 'x');
    expect(await shiftOf([long('a'), long('b')], [long('b'), long('c')])).toBeGreaterThan(1);
    expect(await shiftOf([long('a'), long('b')], [long('b'), long('a'), long('a'), long('b')])).toBe(0);
    expect(await shiftOf(['a\u0000', 'b'], ['b', 'c'])).toBeGreaterThan(1);
    expect(await shiftOf(['__proto__', 'y'], ['constructor', 'y'])).toBeGreaterThan(1);
  });

  test('are told with whole characters of long texts', async () => {
    const { profile } = await made([{ customer: 'c-0', timestamp: AT, v: `${'a'.repeat(199)}😀b` }]);
    expect(profile.v!.top).toEqual([[`${'a'.repeat(199)}😀`, 1]]);
  });
});
