import '../../telemetry/meter-provider.ts'; // first: instruments that are made before it record nothing

import { expect, it } from 'vitest';
import { metricReader } from '../../telemetry/meter-provider.ts';
import { servingUnderTest } from './traffic-under-test.ts';

async function points(name: string) {
  const { resourceMetrics } = await metricReader.collect();
  const all = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
  const found = all.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? [];
  return found.map(({ attributes, value }) => ({ ...attributes, value }));
}

it('metrics tell hits of the cache, the state of the circuit, degraded answers and refused keys of a version', async () => {
  const fails = () => new Promise<never>(() => {});
  const { serving } = servingUnderTest({
    'cached/1': { options: { cache: { ttlMs: 60_000 } } },
    'ill/1': {
      run: fails,
      options: {
        timeoutMs: 15,
        breaker: { errorRate: 0, callsMin: 1 },
        fallback: [{ default: { results: { total: 0 } } }],
        rateLimit: { perSecond: 0.001, burst: 2 },
      },
    },
  });
  for (let i = 0; i < 3; i++) await serving.score({ model: 'cached', features: { a: 2, b: 2 } });
  const caller = { kind: 'key', id: 'k1' };
  for (let i = 0; i < 3; i++)
    await serving.score({ model: 'ill', features: { a: 2, b: 2 }, caller }).catch(() => {});
  const cached = { 'aios.model': 'cached', 'aios.model.version': 1 };
  expect(await points('aios.serving.cache')).toEqual([
    { ...cached, outcome: 'hits', value: 2 },
    { ...cached, outcome: 'misses', value: 1 },
    { ...cached, outcome: 'shared', value: 0 },
  ]);
  const ill = { 'aios.model': 'ill', 'aios.model.version': 1 };
  expect(await points('aios.serving.circuit')).toEqual([{ ...ill, value: 2 }]);
  expect(await points('aios.serving.circuit.opened')).toEqual([{ ...ill, value: 1 }]);
  expect(await points('aios.serving.circuit.refused')).toEqual([{ ...ill, value: 1 }]);
  expect(await points('aios.serving.degraded')).toEqual([
    { ...ill, reason: 'serving.timeout', by: 'default', value: 1 },
    { ...ill, reason: 'serving.circuit_open', by: 'default', value: 1 },
  ]);
  expect(await points('aios.serving.rate_limited')).toEqual([{ 'aios.model': 'ill', value: 1 }]);
  serving.close();
});

it('metrics tell how long requests wait, the replicas by state, and the batches of a version', async () => {
  const { serving } = servingUnderTest({ 'risk/1': { options: { batch: { max: 4 } } } });
  await serving.load('risk');
  const scores = Array.from({ length: 5 }, () => serving.score({ model: 'risk', features: { a: 2, b: 2 } }));
  await Promise.all(scores);
  const of = { 'aios.model': 'risk', 'aios.model.version': 1 };
  for (const rows of [1, 4])
    expect(await points('aios.serving.executions')).toContainEqual({ ...of, rows, value: 1 });
  expect(await points('aios.serving.replicas.state')).toContainEqual({ ...of, state: 'idle', value: 1 });
  expect(await points('aios.serving.batch.best')).toContainEqual({ ...of, value: 4 });
  expect(await points('aios.serving.memory')).toContainEqual({ ...of, value: 0 });
  for (const quantile of ['0.5', '0.9', '0.99'])
    expect(await points('aios.serving.queue.delay')).toContainEqual({
      ...of,
      quantile,
      value: expect.any(Number),
    });
  for (const part of ['queue', 'input', 'infer', 'output'])
    expect(await points('aios.serving.duration')).toContainEqual({ ...of, part, value: expect.any(Number) });
  serving.close();
});
