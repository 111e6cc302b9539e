import { expect, it } from 'vitest';
import type { JsonObject } from '../kernel/json.ts';
import { featureServiceLineage } from './feature-lineage.ts';

it('leads from a feature to the value of a service, whatever the feature is called', () => {
  const names = ['spend', 'constructor', 'toString', 'hasOwnProperty'];
  const view: JsonObject = {
    ...{ name: 'orders', entity: 'customer', source: { push: 'orders' } },
    features: Object.fromEntries(names.map((name) => [name, { type: 'float64' }])),
  };
  const service = {
    ...{ name: 'risk', views: ['orders'] },
    derived: { twice: 'constructor * 2.0', valueOf: 'spend + 1.0' },
    defaults: { toString: 0 },
  };
  const { nodes, edges } = featureServiceLineage(service, () => view);
  for (const name of names)
    expect(edges).toContainEqual({ from: `feature:orders.${name}`, to: `service-feature:risk.${name}` });
  expect(edges).toContainEqual({ from: 'feature:orders.constructor', to: 'service-feature:risk.twice' });
  expect(edges).toContainEqual({ from: 'feature:orders.spend', to: 'service-feature:risk.valueOf' });
  const meaning = (name: string) => nodes.find(({ id }) => id === `service-feature:risk.${name}`)?.meaning;
  expect(meaning('constructor')).toEqual({ derived: null, default: null });
  expect(meaning('toString')).toEqual({ derived: null, default: 0 });
  expect(meaning('twice')).toEqual({ derived: 'constructor * 2.0', default: null });
});
