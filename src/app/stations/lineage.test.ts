import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { LineageEdge } from '../../kernel/definition-lineage.ts';
import { readDocument } from '../../kernel/document.ts';
import { isObject, type JsonObject } from '../../kernel/json.ts';
import { LINEAGE_READERS } from './lineage.ts';

const KINDS: Record<string, string> = {
  contracts: 'contract',
  entities: 'entity',
  features: 'feature-view',
  services: 'feature-service',
  models: 'model',
  decisions: 'decision',
  connectors: 'connector',
  queues: 'queue',
  calendars: 'calendar',
  workflows: 'workflow',
};

/** The edges of all definitions of an example. */
async function edgesOf(folder: string): Promise<LineageEdge[]> {
  const bodies = new Map<string, { kind: string; body: JsonObject }>();
  for (const path of globSync(`${folder}/*/**/*.yaml`)) {
    const kind = KINDS[path.slice(folder.length + 1).split('/')[0]!];
    if (kind === undefined) continue;
    const body = readDocument(await readFile(path, 'utf8'), path).value;
    const name = isObject(body.document) ? body.document.name : body.name;
    bodies.set(`${kind}/${String(name)}`, { kind, body });
  }
  const find = (kind: string, name: string) => bodies.get(`${kind}/${name}`)?.body;
  return [...bodies.values()].flatMap(({ kind, body }) => LINEAGE_READERS[kind]!(body, find).edges);
}

describe('the edges of the returns example', async () => {
  const edges = await edgesOf('examples/returns');
  const has = (from: string, to: string) => edges.some((edge) => edge.from === from && edge.to === to);

  it.each([
    ['contract:order.placed', 'event-type:order.placed'],
    ['event-type:order.placed', 'field:order.placed#total'],
    ['event-type:order.placed', 'field:order.placed#lines.quantity'],
    ['field:order.placed#total', 'feature:customer-orders.spend_30d'],
    ['field:order.placed#customerId', 'feature-view:customer-orders'],
    ['field:order.placed#lines.quantity', 'feature:holding-bought.units_bought'],
    ['field:order.placed#lines.product', 'feature-view:holding-bought'],
    ['field:order.placed#.time', 'feature:customer-orders.last_order_at'],
    ['field:return.requested#kind', 'feature-view:product-returns'],
    ['entity:customer', 'feature-view:customer-orders'],
    ['feature-view:customer-orders', 'feature:customer-orders.spend_30d'],
    ['feature:customer-orders.spend_30d', 'service-feature:return-risk.return_share_30d'],
    ['feature:customer-returns.returned_30d', 'service-feature:return-risk.return_share_30d'],
    ['service-feature:return-risk.return_share_30d', 'model:return-risk'],
    ['model:return-risk', 'workflow:returns'],
    ['feature-service:return-risk', 'workflow:returns'],
    ['model:return-risk', 'decision-input:return-policy.risk'],
    ['service-feature:return-risk.units_held', 'decision-input:return-policy.units_held'],
    ['field:return.requested#unitPrice', 'decision-input:return-policy.unit_price'],
    ['decision-input:return-policy.risk', 'decision:return-policy'],
    ['decision:return-policy', 'workflow:returns'],
    ['queue:return-review', 'workflow:returns'],
    ['calendar:shop', 'queue:return-review'],
    ['workflow:returns', 'event-type:return.decided'],
    ['field:return.requested#refundValue', 'field:return.decided#refundValue'],
    ['model:return-risk', 'field:return.decided#risk'],
    ['event-type:return.decided', 'workflow:settlement'],
    ['operation:refunds.refund', 'workflow:settlement'],
    ['connector:refunds', 'operation:refunds.refund'],
    ['workflow:settlement', 'event-type:return.settled'],
  ])('%s → %s', (from, to) => expect(has(from, to)).toBe(true));

  it.each([
    ['field:order.placed#total', 'feature:customer-orders.orders_30d'],
    ['field:order.placed#total', 'feature-view:customer-orders'],
    ['feature:holding-bought.last_price', 'service-feature:return-risk.units_held'],
    ['service-feature:return-risk.last_price', 'model:return-risk'],
    ['field:return.requested#quantity', 'decision-input:return-policy.unit_price'],
  ])('but not %s → %s', (from, to) => expect(has(from, to)).toBe(false));
});

describe('the edges of the ensembles example', async () => {
  const edges = await edgesOf('examples/ensembles');
  it.each([
    ['model:risk-linear@1', 'workflow:risk-ensemble'],
    ['model:risk-steep', 'workflow:risk-ensemble'],
    ['workflow:risk-ensemble', 'model:risk-ensemble'],
    ['model:risk-ensemble', 'workflow:risk-cascade'],
  ])('%s → %s', (from, to) => expect(edges).toContainEqual({ from, to }));
});

describe('the edges of', () => {
  const edgesOfBody = (kind: string, body: JsonObject) =>
    LINEAGE_READERS[kind]!(body, () => undefined).edges.map(({ from, to }) => `${from} > ${to}`);
  const events = { type: 'order', keys: { customer: 'data.customer' }, values: { label: 'data.refused' } };

  it('a bridge go from the place of its messages to its events, or back', () => {
    const from = { kafka: { topic: 'orders', brokers: ['a:9092'] } };
    expect(edgesOfBody('bridge', { name: 'in', from, events: { type: '"order"' } })).toEqual([
      'source:kafka/orders > bridge:in',
      'bridge:in > event-type:order',
    ]);
    expect(edgesOfBody('bridge', { name: 'out', to: { nats: { subject: 'x' } }, types: ['order'] })).toEqual([
      'bridge:out > source:nats/x',
      'event-type:order > bridge:out',
    ]);
  });

  it('a dataset come from its service, its views and the fields of its events', () => {
    const body = { name: 'history', service: 'all', views: ['orders'], entities: { events } };
    expect(edgesOfBody('dataset', body)).toEqual(
      expect.arrayContaining([
        'feature-service:all > dataset:history',
        'feature-view:orders > dataset:history',
        'event-type:order > dataset:history',
        'field:order#customer > dataset:history',
        'field:order#refused > dataset:history',
      ]),
    );
  });

  it('a service come from what it lists: of a view that is listed twice, from its features once for each name', () => {
    const weather = {
      ...{ name: 'weather', entity: 'airport', source: { push: 'weather' } },
      features: { rain: { type: 'float64' }, wind: { type: 'float64' } },
    };
    const read = (body: JsonObject) =>
      LINEAGE_READERS['feature-service']!(body, (kind, name) =>
        kind === 'feature-view' && name === 'weather' ? weather : undefined,
      );
    const service = (key: string) => ({
      name: 'trip',
      views: [
        { view: 'weather', name: 'from', joinKeyMap: { airport: key } },
        { view: 'weather', name: 'to', joinKeyMap: { airport: 'destination' } },
      ],
      fullFeatureNames: true,
      derived: { wetter: 'to__rain > from__rain' },
      features: ['from__wind', 'wetter'],
    });
    const { edges, nodes } = read(service('origin'));
    expect(edges.map(({ from, to }) => `${from} > ${to}`)).toEqual([
      'feature-view:weather > feature-service:trip',
      'service-feature:trip.from__wind > feature-service:trip',
      'feature:weather.wind > service-feature:trip.from__wind',
      'service-feature:trip.wetter > feature-service:trip',
      'feature:weather.rain > service-feature:trip.wetter',
    ]);
    // Other keys make other values: a plan says so of who takes them.
    const of = (found: typeof nodes) => found.find(({ id }) => id === 'service-feature:trip.from__wind');
    expect(of(read(service('base')).nodes)).not.toEqual(of(nodes));
  });

  it('a view over a file come from it and its columns', () => {
    const features = { price: { type: 'float64' } };
    const source = { delimiter: ';', csv: 'prices/*.csv', timestamp: 'at' };
    expect(edgesOfBody('feature-view', { name: 'prices', entity: 'product', source, features })).toEqual(
      expect.arrayContaining([
        'file:prices/*.csv > feature-view:prices',
        'column:prices/*.csv#at > feature-view:prices',
        'column:prices/*.csv#price > feature:prices.price',
      ]),
    );
  });
});
