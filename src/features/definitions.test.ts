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
    ['a tile that is none', 'tile: 1d', 'tile: 1x', '/tile'],
    ['a tile without a length', 'tile: 1d', 'tile: 0s', '/tile'],
    ['a tile of less than a millisecond', 'tile: 1d', 'tile: 0.4ms', '/tile'],
    ['a lateness that is none', 'tile: 1d', 'tile: 1d\nlateness: 1q', '/lateness'],
    ['a retention that is none', 'tile: 1d', 'tile: 1d\nretention: P1Y', '/retention'],
    ['a retention past every date', 'tile: 1d', 'tile: 1d\nretention: 999999999999d', '/retention'],
    ['a window that is none', 'window: 90d', 'window: 1q', '/features/units/window'],
    ['a window without a length', 'window: 90d', 'window: 0d', '/features/units/window'],
    ['a time to live without a length', 'tile: 1d', 'tile: 1d\nttl: 0s', '/ttl'],
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
    ['a default that is not a value', 'units: 0', 'units: [0]', '/defaults/units'],
    ['a default for no feature', 'units: 0', 'unit: 0', '/defaults/unit'],
    ['a derived feature that hides one of a view', 'share:', 'lines:', '/derived/lines'],
  ])('refuse a service with %s, with its line', async (_, from, to, path) => {
    const service = path === '/derived/lines' ? SERVICE.replace('features: [units, share]\n', '') : SERVICE;
    await expect(plan(ENTITY, VIEW, service.replace(from, to))).rejects.toEqual(
      invalid('services/s.yaml', path),
    );
  });

  it.each([
    ['a join key that the view has not', 'joinKeyMap: { buyer: origin }', '/views/0/joinKeyMap/buyer'],
    ['two join keys of one name', 'joinKeyMap: { customer: product }', '/views/0/joinKeyMap'],
    ['a feature that the view has not', 'features: [unit]', '/views/0/features/0'],
    ['another version than the view has', 'version: 2', '/views/0/version'],
    ['a member that nobody knows', 'alias: origin', '/views/0/alias'],
    ['a name that is none', 'name: _', '/views/0/name'],
  ])('refuse a view that a service lists with %s, with its line', async (_, member, path) => {
    const service = SERVICE.replace('[bought]', `[{ view: bought, ${member} }]`);
    await expect(plan(ENTITY, VIEW, service)).rejects.toEqual(invalid('services/s.yaml', path));
  });

  it('take a view twice under full names, which the service goes by', async () => {
    const twice = `name: profile
views:
  - { view: bought, version: 1 }
  - { view: bought, name: given, joinKeyMap: { customer: friend } }
derived: { share: 'given__units / bought__units' }
features: [given__units, share]
defaults: { given__units: 0 }`;
    await expect(plan(ENTITY, VIEW, twice)).rejects.toMatchObject({
      code: 'definition.invalid',
      issues: [
        { path: '/views/1', message: expect.stringContaining('bought__units and given__units') },
        { path: '/views/1' },
      ],
    });
    expect(await plan(ENTITY, VIEW, `${twice}\nfullFeatureNames: true`)).toHaveLength(3);
    const one = twice.replace('name: given, ', '');
    await expect(plan(ENTITY, VIEW, `${one}\nfullFeatureNames: true`)).rejects.toMatchObject({
      issues: expect.arrayContaining([
        expect.objectContaining({
          path: '/views/1',
          message: expect.stringContaining('two views are called “bought”'),
        }),
      ]),
    });
  });

  it('refuse full names that no expression could hold, and say which would do', async () => {
    const view = VIEW.replace('name: bought', 'name: what-was.bought');
    const service = 'name: profile\nviews: [what-was.bought]\nfullFeatureNames: true';
    await expect(plan(ENTITY, view, service)).rejects.toMatchObject({
      issues: [{ path: '/views/0', expected: 'name: what_was_bought' }],
    });
  });

  it('refuse a computed view that asks the request for what one of its inputs has, or reads what nothing gives', async () => {
    const file = (path: string, text: string) => ({ path, bytes: new TextEncoder().encode(text) });
    const computed = (value: string) =>
      `name: computed\nsource: { views: [bought], request: { ${value}: float64 } }\nfeatures: { most: { type: float64, expression: 'units * 2.0' } }`;
    const files = (value: string) => [
      file('entities/e.yaml', ENTITY),
      file('features/v.yaml', VIEW),
      file('features/w.yaml', computed(value)),
    ];
    await expect(planProject(files('units'), KINDS, definitions)).rejects.toEqual(
      invalid('features/w.yaml', '/source/request/units'),
    );
    expect(await planProject(files('price'), KINDS, definitions)).toHaveLength(3);
    const misspelt = files('price').map((each, index) =>
      index === 2
        ? file('features/w.yaml', computed('price').replace('units * 2.0', 'unit * price + now'))
        : each,
    );
    await expect(planProject(misspelt, KINDS, definitions)).rejects.toMatchObject({
      issues: [
        { path: '/features/most/expression', found: 'unit', expected: 'one of units, lines, price, now' },
      ],
    });
  });

  it('refuse a computed view two of whose inputs have a feature of one name', async () => {
    const computed = (more: string) => `name: computed
source: { views: [bought, { view: bought, name: given, joinKeyMap: { customer: friend } }]${more} }
features: { most: { type: float64, expression: 'bought__units' } }`;
    const file = (path: string, text: string) => ({ path, bytes: new TextEncoder().encode(text) });
    const files = (more: string) => [
      file('entities/e.yaml', ENTITY),
      file('features/v.yaml', VIEW),
      file('features/w.yaml', computed(more)),
    ];
    await expect(planProject(files(''), KINDS, definitions)).rejects.toMatchObject({
      issues: [{ path: '/source/views/1' }, { path: '/source/views/1' }],
    });
    expect(await planProject(files(', fullFeatureNames: true'), KINDS, definitions)).toHaveLength(3);
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

  it('refuse a change of a view that a service which is not changed with it would not bear', async () => {
    const other = VIEW.replace('name: bought', 'name: given')
      .replace('units', 'parts')
      .replace('lines:', 'rows:');
    const service = `${SERVICE.replace('[bought]', '[bought, { view: given, version: 1 }]')}`;
    const sources = [
      [entityKind, ENTITY],
      [featureViewKind, VIEW],
      [featureViewKind, other],
      [featureServiceKind, service],
    ] as const;
    await withApplied(sources, async (change) => {
      const refused = (message: string) => ({
        code: 'definition.invalid',
        issues: expect.arrayContaining([
          expect.objectContaining({ file: 'features/v.yaml', message: expect.stringContaining(message) }),
        ]),
      });
      // A feature that it names is gone; one comes that another of its views has. A view that it is held to may change: its version stays.
      await expect(change({ 'features/v.yaml': VIEW.replace('units', 'pieces') })).rejects.toMatchObject(
        refused('feature-service “profile” would not fit any more (/features/0: '),
      );
      await expect(change({ 'features/v.yaml': VIEW.replace('lines:', 'rows:') })).rejects.toMatchObject(
        refused('two views have a feature “rows”'),
      );
      const held = { 'features/v.yaml': other.replace('90d', '30d') };
      expect(await change(held)).toHaveLength(1);
      // Changed together they fit; a view that only gains a feature, or whose values change, needs nobody's word.
      expect(
        await change({ ...held, 'services/s.yaml': service.replace('version: 1', 'version: 2') }),
      ).toHaveLength(2);
      expect(
        await change({
          'features/v.yaml': VIEW.replace('90d', '30d').replace(
            'lines:',
            'more: { aggregate: count }\n  lines:',
          ),
        }),
      ).toHaveLength(1);
    });
  });

  it('refuse a view without the feature that a derived one reads, which would be asked of the request', async () => {
    const service = (derived: string, view = 'scores') =>
      `name: risk\nviews: [${view}]\nderived: { risk: '${derived}' }`;
    const scores = (feature: string) =>
      `name: scores\nentity: holding\nsource: { push: s }\nfeatures: { ${feature}: { type: float64 }, other: { type: int64 } }`;
    const sources = [
      [entityKind, ENTITY],
      [featureViewKind, scores('score')],
      [featureServiceKind, service('score * amount')],
    ] as const;
    await withApplied(sources, async (change) => {
      const renamed = { 'features/v.yaml': scores('points') };
      const lost = { message: expect.stringContaining('/derived/risk: '), found: 'score' };
      await expect(change(renamed)).rejects.toMatchObject({ issues: [{ file: 'features/v.yaml', ...lost }] });
      const both = (text: string) => change({ ...renamed, 'services/s.yaml': text });
      await expect(both(service('score * amount'))).rejects.toEqual(
        invalid('services/s.yaml', '/derived/risk'),
      );
      const fitting = [
        service('points * amount'),
        service('score * amount + 0.0'), // written anew: of the request from now on
        service('score * amount', '{ view: scores, version: 1 }'),
      ];
      for (const text of fitting) expect(await both(text)).toHaveLength(2);
      expect(await change({ 'features/v.yaml': scores('score').replace('other', 'more') })).toHaveLength(1);
    });
  });

  it('refuse another type for a feature of what was pushed, but for whole numbers that become numbers', async () => {
    const pushed = (type: string) =>
      `name: scores\nentity: holding\nsource: { push: s }\nfeatures: { score: { type: ${type} } }`;
    const sources = [
      [entityKind, ENTITY],
      [featureViewKind, pushed('int64')],
    ] as const;
    await withApplied(sources, async (change) => {
      const retyped = (type: string) => change({ 'features/v.yaml': pushed(type) });
      await expect(retyped('string')).rejects.toEqual(invalid('features/v.yaml', '/features/score/type'));
      expect(await retyped('float64')).toMatchObject([{ action: 'update' }]);
    });
  });

  it('refuse other join keys, and other types of them, for an entity that is in use', async () => {
    const { name, body } = entityKind.parse(readDocument(ENTITY, 'entities/e.yaml'), new Map());
    await database.commit.commit([
      definitions.put({ kind: 'entity', name, body, source: ENTITY, createdBy: 'test' }),
    ]);
    await definitions.reload();
    await expect(
      plan(ENTITY.replace('customer, product', 'product, customer'), VIEW, SERVICE),
    ).rejects.toEqual(invalid('entities/e.yaml', '/joinKeys'));
    await expect(plan(`${ENTITY}\ntypes: { customer: int64 }`, VIEW, SERVICE)).rejects.toEqual(
      invalid('entities/e.yaml', '/types/customer'),
    );
    expect(await plan(`${ENTITY}\nowner: shop`, VIEW, SERVICE)).toMatchObject([{ action: 'update' }, {}, {}]);
  });
});

type Change = (files: Record<string, string>) => ReturnType<typeof planProject>;

/** Works where these are applied, with what a plan of other files comes to there. */
async function withApplied(
  sources: readonly (readonly [(typeof KINDS)[number], string])[],
  work: (change: Change) => Promise<void>,
): Promise<void> {
  const own = await createTestDatabase(definitionMigrations);
  try {
    const applied = new Definitions(own.db);
    for (const [kind, source] of sources) {
      const { name, body } = kind.parse(readDocument(source, 'x.yaml'), new Map());
      await own.commit.commit([applied.put({ kind: kind.kind, name, body, source, createdBy: 'test' })]);
    }
    await applied.reload();
    await work((files) =>
      planProject(
        Object.entries(files).map(([path, text]) => ({ path, bytes: new TextEncoder().encode(text) })),
        KINDS,
        applied,
      ),
    );
  } finally {
    await own.close();
  }
}

describe('a stream view mentions the contract of its events', () => {
  it.each([
    ['order.placed', [{ kind: 'contract', name: 'order.placed', path: '/source/event' }]],
    ['aios.contract.quality.failed.v1', []],
    ['aios.webhook.disabled', []],
  ])('%s', (event, mentions) => {
    const view = { name: 'v', entity: 'e', source: { event }, keys: { e: 'data.e' }, features: {} };
    expect(featureViewKind.mentions!(view)).toEqual(mentions);
  });
});
