import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pythonEnvironment, runPython } from '../../testing/python.ts';
import type { DatasetVersion } from './dataset-version.ts';
import { DatasetsUnderTest } from './datasets-under-test.ts';
import { croissant, datasheet } from './told.ts';

const by = { kind: 'key', id: 'ann' };
const DEFINITION = `
name: buyers
description: Orders, and whether they came late.
owner: shop
licence: CC-BY-4.0
service: buyer
labels: [late]
tags: { area: returns }
intendedUses: [Predicting late orders]
datasheet:
  motivation: To know *why* orders are late.
entities: { events: { type: order, keys: { customer: data.customer }, values: { late: data.late } } }
split: { by: time, train: 0.8, test: 0.2 }
retention: 90d
`;
const python = await pythonEnvironment(['mlcroissant[parquet]==1.0.22']);

/** The orders of two customers beside each other. */
const PAIRS = `
name: pairs
views:
  - { view: customer-orders, name: buyer, features: [spend] }
  - { view: customer-orders, name: friend, joinKeyMap: { customer: friend } }
fullFeatureNames: true
entities: { events: { type: order, keys: { customer: data.customer, friend: '"c-1"' } } }
`;

describe('what is told of a version', () => {
  let world: DatasetsUnderTest;
  let version: DatasetVersion;
  const definitions = () => world.process.definitions;

  beforeAll(async () => {
    world = await DatasetsUnderTest.open([DEFINITION, PAIRS, 'name: odd\nviews: [customer-orders]']);
    ({ version } = await world.create({ name: 'buyers', by }));
  });
  afterAll(() => world.close());

  test('of a view that is listed twice: by the names of its columns, with the keys that its rows have', async () => {
    const { version: pairs } = await world.create({ name: 'pairs', by });
    const features = ['buyer__spend', 'friend__orders', 'friend__spend'];
    expect(pairs.columns.map(({ name, role }) => `${role} ${name}`)).toEqual([
      ...['key customer', 'key friend', 'timestamp timestamp'],
      ...features.map((name) => `feature ${name}`),
    ]);
    const sheet = await datasheet(world.datasets, definitions(), pairs);
    for (const name of features)
      expect(sheet).toMatch(
        new RegExp(`\\| \`${name}\` \\|.*A feature of customer-orders, version 1\\. \\|`),
      );
  });

  test('as Croissant: one file by its digest, one field for each column with its source', async () => {
    const told = await croissant(world.datasets, definitions(), version, 'https://a.example/data');
    expect(told).toMatchObject({
      conformsTo: 'http://mlcommons.org/croissant/1.0',
      license: 'https://spdx.org/licenses/CC-BY-4.0.html',
      version: '1.0.0',
      keywords: ['area:returns'],
      distribution: [
        {
          sha256: version.digest.slice(7),
          contentUrl: 'https://a.example/data',
          contentSize: `${version.sizeBytes} B`,
        },
      ],
      recordSet: [{ key: [{ '@id': 'rows/customer' }, { '@id': 'rows/timestamp' }] }],
    });
    const [{ field }] = told.recordSet as unknown as [{ field: { name: string }[] }];
    expect(field.find(({ name }) => name === 'late')).toMatchObject({ dataType: ['sc:Boolean', 'cr:Label'] });
    expect(field.find(({ name }) => name === 'mean_spend')).toMatchObject({
      description: expect.stringContaining('Computed: orders > 0'),
      source: { fileObject: { '@id': 'data' }, extract: { column: 'mean_spend' } },
    });
  });

  test('as a datasheet: the words of its owner, then what is known', async () => {
    const sheet = await datasheet(world.datasets, definitions(), version);
    expect(sheet.match(/^## .*/gm)).toEqual([
      '## Motivation',
      '## Composition',
      '## Collection process',
      '## Preprocessing',
      '## Uses',
      '## Distribution',
      '## Maintenance',
    ]);
    expect(sheet).toContain('To know *why* orders are late.');
    expect(sheet).toContain('Parts: train 32, test 8 rows.');
    expect(sheet).toContain('| `late` | label | boolean | 0 % | 2 | `false`, `true` |');
    expect(sheet).toContain('events of the type `order`');
    expect(sheet).toContain('feature-view `customer-orders`, version 1');
    expect(sheet).toContain('Licence: CC-BY-4.0.');
    expect(sheet).toContain('kept for 90d');
  });

  describe.skipIf(!python)(`mlcroissant${python ? '' : ' (skipped: no python3 here, or no PyPI)'}`, () => {
    const readBack = async (of: DatasetVersion) => {
      const folder = await mkdtemp(join(tmpdir(), 'aios-croissant-'));
      try {
        const metadata = await croissant(world.datasets, definitions(), of, 'data.parquet');
        await writeFile(join(folder, 'croissant.json'), JSON.stringify(metadata));
        await world.datasets.writeTo(join(folder, 'data.parquet'), of);
        const script = join(import.meta.dirname, '../../../test/clients/croissant_client.py');
        return await runPython(python!, script, join(folder, 'croissant.json'));
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    };

    test('finds no fault, and reads the rows by it', { timeout: 120_000 }, async () => {
      expect(await readBack(version)).toMatchObject({
        errors: [],
        warnings: [],
        count: 40,
        first: { 'rows/customer': expect.stringContaining('c-0'), 'rows/late': 'True' },
        name: 'buyers',
        version: '1.0.0',
      });
    });

    test('reads columns of any name', { timeout: 120_000 }, async () => {
      const names = ['a b', 'a_b', 'a/b', 'größe 😀 "x"', "it's", 'x#y', '@id', 'p%20q', 'a.b'];
      const values = Object.fromEntries(names.map((name, at) => [name, at + 10]));
      const rows = [{ customer: 'c-0', timestamp: '1970-01-21', ...values }];
      const { version: odd } = await world.create({ name: 'odd', by, source: { rows } });
      const read = (await readBack(odd)) as { errors: string[]; first: Record<string, string> };
      expect(read.errors).toEqual([]);
      expect(Object.keys(read.first)).toEqual(
        expect.arrayContaining(['rows/a_b', 'rows/a_b_2', 'rows/a_b_3']),
      );
      expect(Object.values(read.first)).toEqual(expect.arrayContaining(Object.values(values).map(String)));
    });
  });
});
