import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { datasetKind } from './datasets/dataset-kind.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { type FeatureProcess, FeaturesUnderTest, order, pushOf } from './features-under-test.ts';

const WEATHER = `name: weather
entity: airport
source: { push: weather }
features: { rain: { type: float64 }, wind: { type: float64 } }`;
const FLIGHTS = `name: flights
entity: airport
source: { event: order }
keys: { airport: data.customer }
features: { departures: { aggregate: count } }`;
const DELAY = `name: delay
source: { views: [weather], request: { hours: float64 } }
features: { expected: { type: float64, expression: 'rain * hours' } }`;
const CODED = `name: storm
source: { views: [weather] }
code: "export const level = ({ features: { rain, wind } }) => rain + wind"
features: { level: { type: float64 } }`;
/** Both airports in one computed view: its inputs are the projections. */
const ROUTE = `name: route
source:
  views:
    - { view: weather, name: from, joinKeyMap: { airport: origin } }
    - { view: weather, name: to, joinKeyMap: { airport: destination } }
  fullFeatureNames: true
features: { worse: { type: boolean, expression: 'to__rain > from__rain' } }`;
const ROUTES = `name: routes
views:
  - { view: weather, name: from, joinKeyMap: { airport: origin } }
  - { view: weather, name: to, joinKeyMap: { airport: destination }, features: [wind] }
  - { view: flights, name: from_flights, joinKeyMap: { airport: origin } }
  - { view: flights, name: to_flights, joinKeyMap: { airport: destination } }
  - { view: delay, name: from_delay, joinKeyMap: { airport: origin } }
  - { view: delay, name: to_delay, joinKeyMap: { airport: destination } }
  - { view: storm, name: to_storm, joinKeyMap: { airport: destination } }
  - route
fullFeatureNames: true
derived: { gust: 'to__wind - from__wind' }
defaults: { to__wind: 7 }`;
const NAMES = [
  ...['from__rain', 'from__wind', 'to__wind', 'from_flights__departures', 'to_flights__departures'],
  ...['from_delay__expected', 'to_delay__expected', 'to_storm__level', 'route__worse', 'gust'],
];

describe('a view that a service lists twice, under other names and join keys', () => {
  let features: FeaturesUnderTest;
  let process: FeatureProcess;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: airport\njoinKeys: [airport]\ntypes: { airport: string }');
    for (const view of [WEATHER, FLIGHTS, DELAY, CODED, ROUTE]) await features.put(featureViewKind, view);
    await features.put(featureServiceKind, ROUTES);
    process = await features.start();
    const { push } = pushOf(features, process, () => 1_000);
    await push.push('weather', [
      { airport: 'ZRH', rain: 1, wind: 2 },
      { airport: 'JFK', rain: 3, wind: 5 },
    ]);
    await features.feed(process, [
      order('ZRH', 500, { partition: 0, offset: 0 }, []),
      order('JFK', 600, { partition: 0, offset: 1 }, []),
      order('JFK', 700, { partition: 0, offset: 2 }, []),
    ]);
  });
  afterAll(() => features.close());

  const keys = { origin: 'ZRH', destination: 'JFK' };
  const there = [1, 2, 5, 1, 2, 2, 6, 8, true, 3];
  const back = [3, 5, 2, 2, 1, 6, 2, 3, false, -3];

  it('is read for each of its entities, online and in the past', async () => {
    const entities = [keys, { origin: 'JFK', destination: 'ZRH' }, { origin: 'ZRH', destination: null }];
    const { names, rows, pins } = await process.store.online({
      service: 'routes',
      entities: entities.slice(0, 2),
      asOf: { timeMs: 2_000 },
      request: { hours: 2 },
    });
    expect(names).toEqual(NAMES);
    expect(rows).toEqual([there, back]);
    expect(pins.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'feature-service routes',
      ...['flights', 'weather', 'delay', 'storm', 'route'].map((name) => `feature-view ${name}`),
    ]);
    const past = await process.store.historical(
      'routes',
      entities.slice(0, 2).map((each) => ({ keys: each, request: { hours: 2 }, asOf: { timeMs: 2_000 } })),
    );
    expect(past.rows).toEqual([there, back]);
    // A default is of one of the two, by its full name.
    const plain = { service: { views: ['weather'] }, asOf: { timeMs: 2_000 } };
    expect((await process.store.online({ ...plain, entities: [{ airport: 'XXX' }] })).rows).toEqual([
      [null, null],
    ]);
  });

  it('says which key is missing or of another type by the name that the request knows', async () => {
    const asked = (entity: object) =>
      process.store.online({
        service: 'routes',
        entities: [entity as never],
        asOf: { timeMs: 2_000 },
        request: { hours: 1 },
      });
    await expect(asked({ origin: 'ZRH', airport: 'JFK' })).rejects.toMatchObject({
      code: 'features.missing_key',
      message: expect.stringContaining('destination'),
    });
    await expect(asked({ origin: 'ZRH', destination: 7 })).rejects.toMatchObject({
      code: 'features.invalid_key',
      message: expect.stringContaining('destination'),
    });
  });

  it('is asked for without a service, by what the request lists', async () => {
    const service = {
      views: [
        { view: 'weather', name: 'from', joinKeyMap: { airport: 'origin' }, features: ['rain'] },
        { view: 'weather', joinKeyMap: { airport: 'destination' }, features: ['rain'] },
      ],
      fullFeatureNames: true,
    };
    const { names, rows, pins } = await process.store.online({
      service,
      entities: [keys],
      asOf: { timeMs: 2_000 },
    });
    expect([names, rows]).toEqual([['from__rain', 'weather__rain'], [[1, 3]]]);
    expect(pins).toEqual([{ kind: 'feature-view', name: 'weather', version: '1' }]);
    const past = await process.store.historical(service, [{ keys, asOf: { timeMs: 999 } }]);
    expect(past.rows).toEqual([[null, null]]);
    await expect(
      process.store.online({ service: { views: service.views }, entities: [keys] }),
    ).rejects.toMatchObject({
      code: 'request.invalid',
      issues: [{ path: '/views/1', message: expect.stringContaining('fullFeatureNames: true') }],
    });
    await expect(
      process.store.online({ service: { views: ['nothing'] }, entities: [keys] }),
    ).rejects.toMatchObject({ code: 'features.unknown_view' });
  });

  it('tells full names beside those of a service that has short ones', async () => {
    await features.put(
      featureServiceKind,
      "name: short\nviews: [weather, flights]\nderived: { wet: 'rain > 2.0' }\nfeatures: [wet, departures, rain]",
    );
    await process.definitions.reload();
    const { names, fullNames } = await process.store.online({
      service: 'short',
      entities: [{ airport: 'ZRH' }],
    });
    expect(names).toEqual(['wet', 'departures', 'rain']);
    expect(fullNames).toEqual(['wet', 'flights__departures', 'weather__rain']);
  });

  it('tells who calls a feature by the other of its names what it is called', async () => {
    const service = (more: string) =>
      features.put(featureServiceKind, `name: misnamed\nviews: [weather]\n${more}`);
    const asked = async () => {
      await process.definitions.reload();
      return process.store.online({ service: 'misnamed', entities: [{ airport: 'ZRH' }] });
    };
    await service("fullFeatureNames: true\nderived: { wet: 'rain > 2.0' }");
    await expect(asked()).rejects.toMatchObject({
      code: 'features.missing_request',
      message: expect.stringContaining('The feature is called weather__rain here.'),
    });
    await service("derived: { wet: 'weather__rain > 2.0' }");
    await expect(asked()).rejects.toMatchObject({
      message: expect.stringContaining('The feature is called rain here.'),
    });
  });

  it('makes columns of a dataset, whose rows have its other keys', () => {
    const parse = (source: string) =>
      datasetKind.parse({ file: 'd.yaml', text: source, value: JSON.parse(source) } as never, new Map()).body;
    const { definitions } = process;
    const around = {
      find: (kind: string, name: string) => definitions.latest(kind, name)?.body,
      findApplied: () => undefined,
      versionOf: (kind: string, name: string) => definitions.latest(kind, name)?.version,
      previous: undefined,
    };
    const views = [
      { view: 'weather', name: 'from', joinKeyMap: { airport: 'origin' } },
      { view: 'delay', name: 'to', joinKeyMap: { airport: 'destination' } },
    ];
    const events = { type: 'order', keys: { origin: 'data.customer' } };
    const body = parse(JSON.stringify({ name: 'd', views, entities: { events } }));
    expect(datasetKind.references!(body).map(({ name }) => name)).toEqual(['weather', 'delay']);
    expect(datasetKind.checkFit!(body, around)).toEqual([
      {
        path: '/entities/events/keys',
        message: 'no expression for the join key “destination”',
      },
    ]);
  });
});
