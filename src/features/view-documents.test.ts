import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { planProject } from '../store/project.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { compileView } from './compiled.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import type { StreamViewBody } from './view-documents.ts';

const ENTITY = 'name: product\njoinKeys: [sku]\ntypes: { sku: string }';
const BATCH = `name: prices
entity: product
description: what they cost
owner: buying
tags: { source: erp }
ttl: 30d
source: { table: shop.prices, timestamp: updated_at, created: loaded_at }
keys: { sku: article }
features: { price: { type: float64, column: amount, description: in pounds } }`;
const PUSH = 'name: scores\nentity: product\nsource: { push: s }\nfeatures: { score: { type: float64 } }';
const COMPUTED = `name: share
source: { views: [prices, scores], request: { amount: float64 } }
features: { share: { type: float64, expression: 'amount / price' } }`;

describe('documents of feature views', () => {
  let database: TestDatabase;
  let definitions: Definitions;
  beforeAll(async () => {
    database = await createTestDatabase(definitionMigrations);
    definitions = new Definitions(database.db);
    for (const [kind, source] of [
      [entityKind, ENTITY],
      [featureViewKind, BATCH],
    ] as const) {
      const { name, body } = kind.parse(readDocument(source, 'x.yaml'), new Map());
      await database.commit.commit([
        definitions.put({ kind: kind.kind, name, body, source, createdBy: 't' }),
      ]);
    }
    await definitions.reload();
  });
  afterAll(() => database.close());

  const plan = (changed: { entity?: string; batch?: string; computed?: string } = {}) => {
    const { entity = ENTITY, batch = BATCH, computed = COMPUTED } = changed;
    const files = {
      'entities/product.yaml': entity,
      'features/prices.yaml': batch,
      'features/scores.yaml': PUSH,
      'features/share.yaml': computed,
      'services/all.yaml': 'name: all\nviews: [prices, share]',
    };
    return planProject(
      Object.entries(files).map(([path, text]) => ({ path, bytes: new TextEncoder().encode(text) })),
      [entityKind, featureViewKind, featureServiceKind],
      definitions,
    );
  };

  it('of all kinds fit together', async () => {
    expect((await plan()).map(({ kind, name, action }) => `${action} ${kind} ${name}`)).toEqual([
      'unchanged entity product',
      'unchanged feature-view prices',
      'create feature-view scores',
      'create feature-view share',
      'create feature-service all',
    ]);
  });

  it.each([
    ['rows without a time', 'batch', 'timestamp: updated_at, created: loaded_at', '', '/source'],
    ['a time and a span of validity', 'batch', 'created: loaded_at', 'validFrom: a, validTo: b', '/source'],
    [
      'a span without an end',
      'batch',
      'timestamp: updated_at, created: loaded_at',
      'validFrom: a',
      '/source',
    ],
    ['a table without a schema', 'batch', 'shop.prices', 'prices', '/source/table'],
    ['a table that is not a name', 'batch', 'shop.prices', '"shop.prices; drop table x"', '/source/table'],
    ['rows of two places', 'batch', 'table: shop.prices', 'table: shop.prices, csv: a.csv', '/source/csv'],
    ['a way out of a folder', 'batch', 'table: shop.prices', 'parquet: a/../../b.parquet', '/source/parquet'],
    [
      'a file of the network',
      'batch',
      'table: shop.prices',
      '"parquet": "https://example.com/a.parquet"',
      '/source/parquet',
    ],
    [
      'a delimiter of no lines',
      'batch',
      'table: shop.prices',
      "parquet: a.parquet, delimiter: ';'",
      '/source/delimiter',
    ],
    ['a column that is not a name', 'batch', 'amount', '"a\\"b"', '/features/price/column'],
    ['a type that is none', 'batch', 'float64', 'money', '/features/price/type'],
    ['a key that the entity does not have', 'batch', '{ sku: article }', '{ id: article }', '/keys/id'],
    ['a time to live that is none', 'batch', '30d', '1x', '/ttl'],
    ['a retention that is none', 'batch', '30d', '30d\nretention: 1x', '/retention'],
    ['another kind than before', 'batch', BATCH, PUSH.replace('scores', 'prices'), '/source'],
    [
      'an aggregate of a column',
      'batch',
      'type: float64',
      'type: float64, aggregate: sum',
      '/features/price/aggregate',
    ],
    [
      'both an expression and a function',
      'computed',
      'expression:',
      'function: f, expression:',
      '/features/share',
    ],
    ['neither of them', 'computed', ", expression: 'amount / price'", '', '/features/share'],
    [
      'an expression that does not parse',
      'computed',
      'amount / price',
      'amount /',
      '/features/share/expression',
    ],
    ['a view that is not there', 'computed', 'scores', 'nothing', '/source/views/1'],
    ['a view that is computed itself', 'computed', 'scores', 'share', '/source/views/1'],
    ['a type of a key that is not there', 'entity', '{ sku: string }', '{ id: string }', '/types/id'],
  ] as const)('refuse %s, with its line', async (_, file, from, to, path) => {
    const source = { entity: ENTITY, batch: BATCH, computed: COMPUTED }[file];
    expect(source).toContain(from);
    await expect(plan({ [file]: source.replace(from, to) })).rejects.toMatchObject({
      issues: expect.arrayContaining([expect.objectContaining({ path, line: expect.any(Number) })]),
    });
  });

  it('of streams bound the features that name no window by their time to live', () => {
    const body: StreamViewBody = {
      name: 'v',
      entity: 'product',
      ttl: '1d',
      source: { event: 'e' },
      keys: { sku: 'data.sku' },
      features: { all: { aggregate: 'count' }, recent: { aggregate: 'count', window: '1h' } },
    };
    const windows = (of: StreamViewBody) =>
      compileView(1, 1, of, { joinKeys: ['sku'] }).features.map(({ windowMs }) => windowMs);
    expect(windows(body)).toEqual([86_400_000, 3_600_000]);
    const { ttl: _, ...unbound } = body;
    expect(windows(unbound)).toEqual([Number.POSITIVE_INFINITY, 3_600_000]);
  });

  it('read numbers as Postgres will hold them, so that a window is the same from memory and from there', () => {
    const { body } = featureViewKind.parse(
      readDocument(
        'name: spend\nentity: product\nsource: { event: order }\nkeys: { sku: data.sku }\nfeatures: { spend: { aggregate: last, of: data.amount, window: 1d } }',
        'x.yaml',
      ),
      new Map(),
    );
    const view = compileView(1, 1, body as unknown as StreamViewBody, { joinKeys: ['sku'] });
    const of = (amount: number) => {
      const event = {
        specversion: '1.0' as const,
        id: '1',
        source: 's',
        type: 'order',
        time: '2026-01-01T00:00:00Z',
        data: { sku: 'a', amount },
      };
      return view.extract({ event, timeMs: 0, recordedAtMs: 0, partition: 0, offset: 0 })[0]!.values;
    };
    expect(of(2.5)).toEqual([2.5]);
    expect(of(-0)).toEqual([0]);
    expect(of(Number.POSITIVE_INFINITY)).toEqual([null]);
  });
});
