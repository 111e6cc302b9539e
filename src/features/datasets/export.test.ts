import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DAY } from '../features-under-test.ts';
import type { DatasetVersion } from './dataset-version.ts';
import { DatasetsUnderTest } from './datasets-under-test.ts';
import { type ExportFormat, exportData } from './export.ts';

const by = { kind: 'key', id: 'ann' };

describe('the data of a version', () => {
  let world: DatasetsUnderTest;
  let version: DatasetVersion;

  async function exported(format: ExportFormat, start = 0, end?: number): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    await exportData(world.datasets, version, format, async (size, read) => {
      for await (const piece of read({ start, end: end ?? size })) pieces.push(piece);
    });
    return Buffer.concat(pieces);
  }

  beforeAll(async () => {
    world = await DatasetsUnderTest.open(['name: given\nservice: buyer']);
    // Text that does not compress: the file has more than one piece.
    const text = (seed: number) =>
      Array.from({ length: 4_000 }, (_, at) => Math.sin(seed * 5_000 + at).toString(36)).join('');
    const rows = Array.from({ length: 60 }, (_, at) => ({
      customer: `c-${at % 3}`,
      timestamp: new Date(at * DAY + 1).toISOString(),
      text: at === 0 ? 'a "quoted", text\nof two lines' : text(at),
    }));
    ({ version } = await world.create({ name: 'given', source: { rows }, by }));
  });
  afterAll(() => world.close());

  test('as Parquet is the bytes of the digest, whole and in ranges', async () => {
    const whole = await exported('parquet');
    expect(whole).toHaveLength(version.sizeBytes);
    expect(version.sizeBytes).toBeGreaterThan(1024 * 1024);
    expect(whole.subarray(0, 4).toString()).toBe('PAR1');
    const middle = 1024 * 1024;
    const range = await exported('parquet', middle - 10, middle + 10);
    expect(range.equals(whole.subarray(middle - 10, middle + 10))).toBe(true);
  });

  test('as CSV has a heading, quotes and times in UTC', async () => {
    const text = (await exported('csv')).toString();
    expect(text.startsWith('customer,timestamp,text,orders,spend,mean_spend\n')).toBe(true);
    expect(text).toContain('c-0,1970-01-01T00:00:00.001000Z,"a ""quoted"", text\nof two lines",');
  });

  test('as JSON lines has a row on each', async () => {
    const lines = (await exported('jsonl')).toString().trimEnd().split('\n');
    expect(lines).toHaveLength(60);
    expect(JSON.parse(lines[3]!)).toMatchObject({
      customer: 'c-0',
      timestamp: '1970-01-04T00:00:00.001000Z',
      orders: 2,
    });
  });
});
