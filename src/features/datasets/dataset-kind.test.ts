import { describe, expect, test } from 'vitest';
import { readDocument } from '../../kernel/document.ts';
import type { AiosError, Issue } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { datasetKind } from './dataset-kind.ts';

const parse = (source: string) => datasetKind.parse(readDocument(source, 'datasets/d.yaml'), new Map());
const EVENTS = 'entities: { events: { type: order, keys: { customer: data.customer } } }';

function issuesOf(source: string): readonly Issue[] {
  try {
    parse(source);
    return [];
  } catch (error) {
    return (error as AiosError).issues;
  }
}

describe('a definition', () => {
  test('keeps the words of its owner', () => {
    const { body } = parse(`
name: buyers
description: Who buys
licence: CC-BY-4.0
service: buyer
intendedUses: [risk]
datasheet: { motivation: To know. }
split: { by: hash, train: 0.7, valid: 0.1, test: 0.2, on: [customer] }
${EVENTS}`);
    expect(body).toMatchObject({ licence: 'CC-BY-4.0', datasheet: { motivation: 'To know.' } });
  });

  test.each([
    ['a service and views at once', 'name: d\nservice: s\nviews: [v]', ''],
    ['neither', 'name: d', ''],
    ['parts that are not all', 'name: d\nservice: s\nsplit: { by: time, train: 0.5, test: 0.4 }', '/split'],
    ['a seed of times', 'name: d\nservice: s\nsplit: { by: time, train: 1, seed: a }', '/split'],
    ['no duration', 'name: d\nservice: s\nretention: soon', '/retention'],
    [
      'no CEL',
      'name: d\nservice: s\nentities: { events: { type: order, keys: { customer: "data." } } }',
      '/entities/events/keys/customer',
    ],
    [
      'a value with the name of a key',
      'name: d\nservice: s\nentities: { events: { type: o, keys: { c: data.c }, values: { c: data.d } } }',
      '/entities/events/values/c',
    ],
    ['an unknown section', 'name: d\nservice: s\ndatasheet: { poem: x }', '/datasheet/poem'],
  ])('is refused with %s', (_, source, path) => {
    expect(issuesOf(source).map((issue) => issue.path)).toContain(path);
  });
});

describe('what it stands among', () => {
  const known: Record<string, JsonObject> = {
    'feature-service/buyer': { name: 'buyer', views: ['orders', 'risk'] },
    'feature-view/orders': {
      name: 'orders',
      entity: 'customer',
      source: { event: 'order' },
      keys: { customer: 'data.customer' },
      features: { n: { aggregate: 'count' } },
    },
    'feature-view/risk': {
      name: 'risk',
      source: { views: ['stock'] },
      features: { r: { type: 'int64', expression: '1' } },
    },
    'feature-view/stock': {
      name: 'stock',
      entity: 'product',
      source: { push: 'p' },
      features: { n: { type: 'int64' } },
    },
    'entity/customer': { name: 'customer', joinKeys: ['customer'] },
    'entity/product': { name: 'product', joinKeys: ['product'] },
  };
  const surroundings = {
    find: (kind: string, name: string) => known[`${kind}/${name}`],
    findApplied: () => undefined,
    versionOf: () => 1,
    previous: undefined,
  };
  const issues = (source: string) => datasetKind.checkFit!(parse(source).body, surroundings);

  test('its keys are those of all views that the service reads', () => {
    expect(issues(`name: d\nservice: buyer\n${EVENTS}`)).toMatchObject([
      { path: '/entities/events/keys', message: 'no expression for the join key “product”' },
    ]);
    expect(issues(`name: d\nviews: [orders]\n${EVENTS}`)).toEqual([]);
  });

  test('two of its views may not have a feature of one name', () => {
    expect(issues('name: d\nviews: [orders, stock]')).toMatchObject([{ path: '/views/1' }]);
  });

  test('it names the service, or the views', () => {
    expect(datasetKind.references!(parse('name: d\nviews: [orders]').body)).toEqual([
      { kind: 'feature-view', name: 'orders', path: '/views/0' },
    ]);
  });

  test('it mentions the contract of the events that its rows come from', () => {
    const { body } = parse(`name: d\nviews: [orders]\n${EVENTS}`);
    const { type } = (body as { entities: { events: { type: string } } }).entities.events;
    expect(datasetKind.mentions!(body)).toEqual([
      { kind: 'contract', name: type, path: '/entities/events/type' },
    ]);
  });
});
