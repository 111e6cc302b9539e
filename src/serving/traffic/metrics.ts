import { type Attributes, type BatchObservableResult, metrics } from '@opentelemetry/api';
import { hostMetrics, observeHost } from '../hosting/metrics.ts';
import type { CircuitState } from './circuit-breaker.ts';
import type { Guards } from './guards.ts';
import type { Hosted } from './hosted.ts';

const meter = metrics.getMeter('aios.serving');
const OBSERVED = [
  ['requests', '{request}', 'requests'],
  ['errors', '{request}', 'errors'],
  ['rows', '{row}', 'rows'],
  ['batches', '{batch}', 'batches'],
  ['restarts', '{replica}', 'restarts'],
  ['compute', 'ms', 'computeMs'],
] as const;
const counters = OBSERVED.map(([name, unit]) =>
  meter.createObservableCounter(`aios.serving.${name}`, { unit }),
);
const gauges = (['queued', 'replicas'] as const).map(
  (name) => [name, meter.createObservableGauge(`aios.serving.${name}`, { unit: '{item}' })] as const,
);

const cacheLookups = meter.createObservableCounter('aios.serving.cache', { unit: '{request}' });
const circuitState = meter.createObservableGauge('aios.serving.circuit', {
  description: '0 closed, 1 half-open, 2 open',
});
const circuitOpened = meter.createObservableCounter('aios.serving.circuit.opened', { unit: '{time}' });
const circuitRefused = meter.createObservableCounter('aios.serving.circuit.refused', { unit: '{request}' });
const rateLimited = meter.createObservableCounter('aios.serving.rate_limited', { unit: '{request}' });
const STATES: readonly CircuitState[] = ['closed', 'half-open', 'open'];
const ofGuards = [cacheLookups, circuitState, circuitOpened, circuitRefused, rateLimited];

function observeGuards(result: BatchObservableResult, guards: Guards, attributes: Attributes): void {
  const { cache, circuit, rateLimited: refused } = guards.statistics();
  if (cache)
    for (const outcome of ['hits', 'misses', 'shared'] as const)
      result.observe(cacheLookups, cache[outcome], { ...attributes, outcome });
  if (circuit) {
    result.observe(circuitState, STATES.indexOf(circuit.state), attributes);
    result.observe(circuitOpened, circuit.opened, attributes);
    result.observe(circuitRefused, circuit.refused, attributes);
  }
  // The versions of a model share a limit: the same point is told for each of them.
  if (guards.rateLimit)
    result.observe(rateLimited, refused, { 'aios.model': attributes['aios.model'] as string });
}

/** Metrics are read from the statistics when they are collected: a request pays nothing for them. */
export function observe(hosted: () => Iterable<Hosted>): () => void {
  const callback: Parameters<typeof meter.addBatchObservableCallback>[0] = (result) => {
    for (const { model, host, guards } of hosted()) {
      const attributes: Attributes = { 'aios.model': model.name, 'aios.model.version': model.version };
      const statistics = host.statistics();
      for (const [i, counter] of counters.entries())
        result.observe(counter, statistics[OBSERVED[i]![2]], attributes);
      for (const [name, gauge] of gauges) result.observe(gauge, statistics[name], attributes);
      observeHost(result, statistics, attributes);
      if (guards) observeGuards(result, guards, attributes);
    }
  };
  const instruments = [...counters, ...gauges.map(([, gauge]) => gauge), ...ofGuards, ...hostMetrics];
  meter.addBatchObservableCallback(callback, instruments);
  return () => meter.removeBatchObservableCallback(callback, instruments);
}
