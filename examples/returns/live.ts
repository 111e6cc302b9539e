import { join } from 'node:path';
import type { CloudEvent } from '../../src/kernel/cloudevent.ts';
import { Simulation } from './simulator.ts';
import { startRefunds, startWarehouse } from './systems.ts';

const SEED = 20_111_209;
const PER_SECOND_MAX = 1_000; // a timer has milliseconds

/**
 * The refund and warehouse systems as small servers of their own, with their addresses in the environment. Started before the app is: runs of
 * an earlier life call them as soon as it begins.
 */
export async function startSystems(dataDir: string): Promise<{ stop(): Promise<void> }> {
  const refunds = await startRefunds(join(dataDir, 'systems', 'refunds.jsonl'), 40);
  process.env.AIOS_VAR_REFUNDS_URL = refunds.url;
  const warehouse = await startWarehouse(join(dataDir, 'systems', 'warehouse.jsonl'));
  process.env.AIOS_VAR_WAREHOUSE_URL = warehouse.url;
  return { stop: async () => void (await Promise.all([refunds.stop(), warehouse.stop()])) };
}

/**
 * What `npm start` adds to the definitions: a simulated stream of orders and return requests, `AIOS_SIMULATION_PER_SECOND` of them (2; 0 for
 * none).
 */
export async function startStream(app: {
  publish(events: readonly CloudEvent[]): Promise<void>;
}): Promise<{ notice: string; stop(): Promise<void> }> {
  const perSecond = Number(process.env.AIOS_SIMULATION_PER_SECOND ?? 2);
  if (!(perSecond >= 0 && perSecond <= PER_SECOND_MAX))
    throw new Error(`AIOS_SIMULATION_PER_SECOND is a number from 0 to ${PER_SECOND_MAX}`);
  const simulation = new Simulation(SEED, Date.now, Date.now().toString(36));
  await app.publish(simulation.first());
  let sending: Promise<void> | undefined;
  const send = () => {
    // While the database is away nothing piles up: the next tick makes the next event.
    sending ??= app
      .publish([simulation.next()])
      .catch(() => {})
      .finally(() => {
        sending = undefined;
      });
  };
  const timer = perSecond > 0 ? setInterval(send, 1000 / perSecond) : undefined;
  return {
    notice: `Orders and returns are simulated (seed ${SEED}, source urn:aios:simulation): nothing here happened.`,
    async stop() {
      clearInterval(timer);
      await sending;
    },
  };
}
