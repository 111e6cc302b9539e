import { type Attributes, metrics } from '@opentelemetry/api';
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

/** Metrics are read from the statistics when they are collected: a request pays nothing for them. */
export function observe(hosted: () => Iterable<Hosted>): () => void {
  const callback: Parameters<typeof meter.addBatchObservableCallback>[0] = (result) => {
    for (const { model, host } of hosted()) {
      const attributes: Attributes = { 'aios.model': model.name, 'aios.model.version': model.version };
      const statistics = host.statistics();
      for (const [i, counter] of counters.entries())
        result.observe(counter, statistics[OBSERVED[i]![2]], attributes);
      for (const [name, gauge] of gauges) result.observe(gauge, statistics[name], attributes);
    }
  };
  const instruments = [...counters, ...gauges.map(([, gauge]) => gauge)];
  meter.addBatchObservableCallback(callback, instruments);
  return () => meter.removeBatchObservableCallback(callback, instruments);
}
