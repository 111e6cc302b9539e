import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { CloudEvent } from '../../src/kernel/cloudevent.ts';
import { startStream, startSystems } from './live.ts';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'aios-live-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dataDir, { recursive: true, force: true });
});

it('puts the first events in before it returns, then one after the other, and says that they are invented', async () => {
  vi.stubEnv('AIOS_SIMULATION_PER_SECOND', '200');
  const published: CloudEvent[] = [];
  const live = await startStream({ publish: async (events) => void published.push(...events) });
  expect(published.length).toBe(32);
  expect(live.notice).toContain('simulated');
  await vi.waitFor(() => expect(published.length).toBeGreaterThan(34));
  await live.stop();
  expect(published.every(({ source }) => source === 'urn:aios:simulation')).toBe(true);
});

it('a rate of 0 sends the first events alone', async () => {
  vi.stubEnv('AIOS_SIMULATION_PER_SECOND', '0');
  const publish = vi.fn(async () => {});
  const live = await startStream({ publish });
  await new Promise((resolve) => setTimeout(resolve, 20));
  await live.stop();
  expect(publish).toHaveBeenCalledTimes(1);
});

it('nothing piles up behind a publish that hangs, and a failed one does not end the stream', async () => {
  vi.stubEnv('AIOS_SIMULATION_PER_SECOND', '1000');
  let release = () => {};
  const publish = vi
    .fn<(events: readonly CloudEvent[]) => Promise<void>>()
    .mockResolvedValueOnce(undefined)
    .mockRejectedValueOnce(new Error('the database is away'))
    .mockImplementationOnce(() => new Promise((resolve) => (release = resolve)))
    .mockResolvedValue(undefined);
  const live = await startStream({ publish });
  await vi.waitFor(() => expect(publish).toHaveBeenCalledTimes(3));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(publish).toHaveBeenCalledTimes(3);
  release();
  await vi.waitFor(() => expect(publish.mock.calls.length).toBeGreaterThan(3));
  await live.stop();
});

it.each(['-1', 'often', '1001'])('a rate of %s is refused before anything starts', async (rate) => {
  vi.stubEnv('AIOS_SIMULATION_PER_SECOND', rate);
  const publish = vi.fn(async () => {});
  await expect(startStream({ publish })).rejects.toThrow('AIOS_SIMULATION_PER_SECOND');
  expect(publish).not.toHaveBeenCalled();
});

it('the systems are there, with their addresses, before anything is sent, and remember over a restart', async () => {
  vi.stubEnv('AIOS_VAR_REFUNDS_URL', '');
  vi.stubEnv('AIOS_VAR_WAREHOUSE_URL', '');
  const pay = () =>
    fetch(`${process.env.AIOS_VAR_REFUNDS_URL}/refunds`, {
      method: 'POST',
      headers: { 'idempotency-key': '"run_1/refund"' },
      body: '{"returnId":"r-1","amount":20}',
    }).then(({ status }) => status);
  for (const expected of [201, 200]) {
    const systems = await startSystems(dataDir);
    expect(await pay()).toBe(expected);
    expect(process.env.AIOS_VAR_WAREHOUSE_URL).toMatch(/^http:/);
    await systems.stop();
  }
});
