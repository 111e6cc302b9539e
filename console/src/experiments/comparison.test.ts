import { expect, it } from 'vitest';
import type { TrainingRun } from '../api/experiments.ts';
import {
  CHOSEN_MAX,
  chosenRuns,
  columnsOf,
  linesOf,
  nextOrder,
  orderedMetric,
  orderText,
  toggledRun,
} from './comparison.ts';

const run = (id: string, more: Partial<TrainingRun> = {}): TrainingRun => ({
  ...{ id, name: id, user: 'ann', status: 'FINISHED', params: {}, tags: {}, metrics: {}, versions: [] },
  ...more,
});

it('orders by a column: metrics from the largest, parameters from the smallest, and the other way on a second click', () => {
  expect(nextOrder(undefined, 'metrics', 'auc')).toBe('metrics.auc DESC');
  expect(nextOrder('metrics.auc DESC', 'metrics', 'auc')).toBe('metrics.auc ASC');
  expect(nextOrder('metrics.auc ASC', 'metrics', 'auc')).toBe('metrics.auc DESC');
  expect(nextOrder('metrics.auc DESC', 'params', 'depth')).toBe('params.depth ASC');
});

it('puts names that are no word into quotes, as the filter grammar has them', () => {
  const text = (key: string) => orderText({ part: 'metrics', key, isDescending: false });
  expect([text('train/loss'), text('val loss'), text('a "b"')]).toEqual([
    'metrics.train/loss ASC',
    'metrics."val loss" ASC',
    'metrics."a ""b""" ASC',
  ]);
  expect(orderedMetric('metrics."val loss" DESC', ['auc', 'val loss'])).toBe('val loss');
  expect(orderedMetric('params.auc DESC', ['auc'])).toBeUndefined();
});

it('chooses the first runs until somebody chooses, and never more than can be told apart', () => {
  const runs = Array.from({ length: 20 }, (_, at) => run(`r${at}`));
  const ids = runs.map(({ id }) => id);
  expect(chosenRuns(undefined, runs)).toEqual(ids.slice(0, 5));
  expect(chosenRuns('r3,r1,gone', runs)).toEqual(['r1', 'r3']);
  expect(chosenRuns(ids.join(','), runs)).toHaveLength(CHOSEN_MAX);
  expect(toggledRun(['r1'], 'r2')).toBe('r1,r2');
  expect(chosenRuns(toggledRun(['r1'], 'r1'), runs)).toEqual([]);
});

it('shows as many columns as fit and counts the others', () => {
  const metrics = Object.fromEntries(Array.from({ length: 14 }, (_, at) => [`m${at + 10}`, at]));
  const { shown, more } = columnsOf([run('a', { metrics }), run('b', { metrics: { m10: 1 } })], 'metrics');
  expect([shown[0], shown.length, more]).toEqual(['m10', 12, 2]);
});

it('draws a line for each run, with gaps where a value is not a number, and names that differ', () => {
  const at = '2026-01-01T00:00:00Z';
  const values = [
    { step: 0, value: 0.5, at },
    { step: 1, value: 'NaN', at },
  ];
  const lines = linesOf([run('aaaaaaaa', { name: 'x' }), run('bbbbbbbb', { name: 'x' })], [values, []]);
  expect(lines).toEqual([
    {
      id: 'aaaaaaaa',
      name: 'x (aaaaaa)',
      points: [
        [0, 0.5],
        [1, null],
      ],
    },
    { id: 'bbbbbbbb', name: 'x (bbbbbb)', points: [] },
  ]);
});
