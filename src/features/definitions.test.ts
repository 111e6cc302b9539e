import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { planProject } from '../store/project.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';

const KINDS = [entityKind, featureViewKind, featureServiceKind];
const ENTITY = 'name: holding\njoinKeys: [customer, product]';
const VIEW = `name: bought
entity: holding
source: { event: order, each: data.lines }
keys: { customer: data.customer, product: item.product }
tile: 1d
features:
  units: { aggregate: sum, of: item.quantity, window: 90d }
  lines: { aggregate: count }`;
const SERVICE = `name: profile
views: [bought]
derived: { share: 'units / lines' }
features: [units, share]
defaults: { units: 0 }`;

describe('definitions of features', () => {
  let database: TestDatabase;
  let definitions: Definitions;
  beforeAll(async () => {
    database = await createTestDatabase(definitionMigrations);
    definitions = new Definitions(database.db);
  });
  afterAll(() => database.close());

  const plan = (entity: string, view: string, service: string) =>
    planProject(
      Object.entries({ 'entities/e.yaml': entity, 'features/v.yaml': view, 'services/s.yaml': service }).map(
        ([path, text]) => ({ path, bytes: new TextEncoder().encode(text) }),
      ),
      KINDS,
      definitions,
    );
  const invalid = (file: string, path: string) =>
    expect.objectContaining({
      code: 'definition.invalid',
      issues: expect.arrayContaining([expect.objectContaining({ path, file, line: expect.any(Number) })]),
    });

  it('that fit together are accepted', async () => {
    expect((await plan(ENTITY, VIEW, SERVICE)).map(({ kind, action }) => `${action} ${kind}`)).toEqual([
      'create entity',
      'create feature-view',
      'create feature-service',
    ]);
  });

  it.each([
    ['a sum of nothing', 'sum, of: item.quantity,', 'sum,', '/features/units'],
    ['a window that tiles do not fill', 'window: 90d', 'window: 36h', '/features/units/window'],
    ['a tumbling window without a length', 'lines: { ', 'lines: { windowType: tumbling, ', '/features/lines'],
    ['a word on late events that does not say which', 'tile: 1d', 'tile: 1d\nlate: drop', '/late'],
    ['an unknown aggregate', 'aggregate: sum', 'aggregate: median', '/features/units/aggregate'],
    ['a time to live that tiles do not fill', 'tile: 1d', 'tile: 1d\nttl: 36h', '/ttl'],
    ['a time to live that is none', 'tile: 1d', 'tile: 1d\nttl: 1x', '/ttl'],
    ['an expression that does not parse', 'each: data.lines', 'each: data.', '/source/each'],
    ['a duration that is none', 'tile: 1d', 'tile: soon', '/tile'],
    ['a join key without an expression', ', product: item.product', '', '/keys'],
    ['an expression for no join key', 'keys: {', 'keys: { shop: data.shop,', '/keys/shop'],
  ])('refuse a view with %s, with its line', async (_, from, to, path) => {
    expect(VIEW).toContain(from);
    await expect(plan(ENTITY, VIEW.replace(from, to), SERVICE)).rejects.toEqual(
      invalid('features/v.yaml', path),
    );
  });

  it.each([
    ['a feature that nothing gives', 'features: [units', 'features: [unit', '/features/0'],
    ['a default for no feature', 'units: 0', 'unit: 0', '/defaults/unit'],
    ['a derived feature that hides one of a view', 'share:', 'lines:', '/derived/lines'],
  ])('refuse a service with %s, with its line', async (_, from, to, path) => {
    const service = path === '/derived/lines' ? SERVICE.replace('features: [units, share]\n', '') : SERVICE;
    await expect(plan(ENTITY, VIEW, service.replace(from, to))).rejects.toEqual(
      invalid('services/s.yaml', path),
    );
  });

  it('refuse two views of one service with the same feature', async () => {
    const other = new TextEncoder().encode(VIEW.replace('name: bought', 'name: again'));
    const file = (path: string, text: string) => ({ path, bytes: new TextEncoder().encode(text) });
    await expect(
      planProject(
        [
          file('entities/e.yaml', ENTITY),
          file('features/v.yaml', VIEW),
          { path: 'features/w.yaml', bytes: other },
          file('services/s.yaml', SERVICE.replace('[bought]', '[bought, again]')),
        ],
        KINDS,
        definitions,
      ),
    ).rejects.toMatchObject({
      code: 'definition.invalid',
      issues: [{ path: '/views/1' }, { path: '/views/1' }],
    });
  });

  it('refuse other join keys for an entity that is in use', async () => {
    const { name, body } = entityKind.parse(readDocument(ENTITY, 'entities/e.yaml'), new Map());
    await database.commit.commit([
      definitions.put({ kind: 'entity', name, body, source: ENTITY, createdBy: 'test' }),
    ]);
    await definitions.reload();
    await expect(
      plan(ENTITY.replace('customer, product', 'product, customer'), VIEW, SERVICE),
    ).rejects.toEqual(invalid('entities/e.yaml', '/joinKeys'));
  });
});
