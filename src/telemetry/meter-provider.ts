import { monitorEventLoopDelay } from 'node:perf_hooks';
import { metrics } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';

/*
 * Imported first, by the composition root: modules make their instruments when they are imported, and an instrument made before the provider
 * is set records nothing for ever (the API has a proxy for tracers and none for meters).
 */

/** Reads when it is asked: Prometheus pulls. */
class PullReader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

export const metricReader = new PullReader();
const provider = new MeterProvider({
  resource: resourceFromAttributes({ 'service.name': 'aios' }),
  readers: [metricReader],
});
metrics.setGlobalMeterProvider(provider);

/** How often it is looked how late the event loop comes: every 20 ms cost 0.33 % of a core, which is more than all else that an idle server does. */
const LOOP_DELAY_MS = 100;
/** How late the event loop comes, the time between two looks included; watched while telemetry is on. */
export const loopDelay: ReturnType<typeof monitorEventLoopDelay> = monitorEventLoopDelay({
  resolution: LOOP_DELAY_MS,
});

const meter = provider.getMeter('aios.process');
meter
  .createObservableGauge('process.memory.usage', { unit: 'By' })
  .addCallback((result) => result.observe(process.memoryUsage.rss()));
meter.createObservableCounter('process.cpu.time', { unit: 's' }).addCallback((result) => {
  const { user, system } = process.cpuUsage();
  result.observe(user / 1e6, { 'cpu.mode': 'user' });
  result.observe(system / 1e6, { 'cpu.mode': 'system' });
});
meter.createObservableGauge('nodejs.eventloop.delay.p99', { unit: 's' }).addCallback((result) => {
  result.observe(Math.max(0, loopDelay.percentile(99) / 1e6 - LOOP_DELAY_MS) / 1000);
  loopDelay.reset();
});
