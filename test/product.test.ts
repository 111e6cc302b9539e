import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type Started, startProduct } from './browser.ts';

let product: Started;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product?.stop());

it('what every module measures is at /metrics, in the form of Prometheus', async () => {
  const wanted = [
    'process_memory_usage',
    'nodejs_eventloop_delay_p99',
    'aios_events_lag',
    'aios_features_freshness',
    'aios_serving_',
    'aios_workflow_',
    'aios_connectors_',
  ];
  await vi.waitFor(
    async () => {
      const text = await (await fetch(`${product.url}/metrics`)).text();
      expect(wanted.filter((name) => !text.includes(name))).toEqual([]);
    },
    { timeout: 30_000, interval: 250 },
  );
});
