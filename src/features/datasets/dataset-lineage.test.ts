import { expect, test } from 'vitest';
import { datasetLineage, datasetVersionLineage } from './dataset-lineage.ts';

const pairs = (edges: readonly { from: string; to: string }[]) =>
  edges.map(({ from, to }) => `${from} > ${to}`);

test('a dataset is made of its service, and of the fields of the events that are its rows', () => {
  const body = {
    name: 'd',
    service: 's',
    entities: {
      events: { type: 'order', keys: { customer: 'data.customer' }, values: { late: 'data.late == true' } },
    },
  };
  expect(pairs(datasetLineage(body, () => undefined).edges)).toEqual([
    'feature-service:s > dataset:d',
    'event-type:order > dataset:d',
    'event-type:order > field:order#customer',
    'field:order#customer > dataset:d',
    'event-type:order > field:order#late',
    'field:order#late > dataset:d',
  ]);
});

test('a version is made of its dataset', () => {
  expect(pairs(datasetVersionLineage('d', 3).edges)).toEqual(['dataset:d > dataset:d@3']);
});
