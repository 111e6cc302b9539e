import { type Attributes, type BatchObservableResult, metrics } from '@opentelemetry/api';
import type { ServingStatistics } from './statistics.ts';

const meter = metrics.getMeter('aios.serving');
const queueDelay = meter.createObservableGauge('aios.serving.queue.delay', {
  unit: 'ms',
  description: 'how long requests waited for a replica, by quantile, since the version was loaded',
});
const replicaStates = meter.createObservableGauge('aios.serving.replicas.state', { unit: '{replica}' });
const memory = meter.createObservableGauge('aios.serving.memory', { unit: 'By' });
const bestBatch = meter.createObservableGauge('aios.serving.batch.best', {
  unit: '{row}',
  description: 'rows that batches grow to; 1: no batching',
});
const executions = meter.createObservableCounter('aios.serving.executions', {
  unit: '{batch}',
  description: 'batches by their rows',
});
const duration = meter.createObservableCounter('aios.serving.duration', {
  unit: 'ms',
  description: 'time of requests by part: queue, input, infer, output',
});

export const hostMetrics = [queueDelay, replicaStates, memory, bestBatch, executions, duration];

/** Tells the replicas, the queue and the batches of one version at a collection of metrics. */
export function observeHost(
  result: BatchObservableResult,
  statistics: ServingStatistics,
  attributes: Attributes,
): void {
  const { queueP50Ms, queueP90Ms, queueP99Ms, queue, computeInput, computeInfer, computeOutput } = statistics;
  const quantiles = { '0.5': queueP50Ms, '0.9': queueP90Ms, '0.99': queueP99Ms };
  for (const [quantile, ms] of Object.entries(quantiles))
    result.observe(queueDelay, ms, { ...attributes, quantile });
  for (const [state, replicas] of Object.entries(statistics.replicaStates))
    result.observe(replicaStates, replicas, { ...attributes, state });
  result.observe(memory, statistics.residentBytes, attributes);
  result.observe(bestBatch, statistics.bestBatch, attributes);
  for (const { rows, count } of statistics.batchSizes)
    result.observe(executions, count, { ...attributes, rows });
  const parts = { queue, input: computeInput, infer: computeInfer, output: computeOutput };
  for (const [part, { ms }] of Object.entries(parts)) result.observe(duration, ms, { ...attributes, part });
}
