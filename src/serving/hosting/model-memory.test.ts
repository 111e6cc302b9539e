import { describe, expect, it } from 'vitest';
import { limitsFrom } from '../../kernel/limits.ts';
import { createFunctionRuntime } from '../runtimes/function-runtime.ts';
import type { Replica, Runtime } from '../runtimes/runtime.ts';
import { Capacity } from './capacity.ts';
import { inputs, outputs, pause, same, setUp } from './model-host-under-test.ts';

describe('the memory of all hosts', () => {
  /** Replicas that say they hold this much. */
  function sized(bytes: number): Runtime {
    const functions = createFunctionRuntime({ m: { inputs, outputs, run: same } });
    return {
      async start(model) {
        const replica: Replica = await functions.start(model);
        return Object.assign(replica, { residentBytes: () => bytes });
      },
    };
  }

  it('makes room for a model by unloading the one that was used longest ago, which comes back on demand', async () => {
    const capacity = new Capacity(limitsFrom('modelMemoryBytesMax=250'));
    const [a, b, c] = ['a/1', 'b/1', 'c/1'].map((label) => setUp({ label, capacity, runtime: sized(100) }));
    await a!.ask(1);
    await b!.ask(1);
    await a!.ask(2);
    await pause(300); // what was in use a moment ago is not unloaded
    await c!.ask(3);
    expect([a, b, c].map((each) => each!.host.statistics().replicas)).toEqual([1, 0, 1]);
    expect(capacity.memoryBytes).toBe(200);
    await pause(300);
    expect(await b!.ask(4)).toBe(4);
    expect([a, b, c].map((each) => each!.host.statistics().residentBytes)).toEqual([0, 100, 100]);
  });

  it('refuses a model that fits into none of it, and says so to who asks', async () => {
    const capacity = new Capacity(limitsFrom('modelMemoryBytesMax=250'));
    const { host, ask } = setUp({ capacity, runtime: sized(300 * 2 ** 20) });
    await expect(host.start()).rejects.toMatchObject({
      code: 'serving.memory_exceeded',
      message: expect.stringMatching(/^m\/1: It needs 300 MiB/),
      extensions: { limitName: 'modelMemoryBytesMax', limit: 250 },
    });
    await expect(async () => ask(1)).rejects.toMatchObject({ code: 'serving.memory_exceeded' });
    expect(capacity.memoryBytes).toBe(0);
  });

  it('unloads idle models when others have grown past the limit', async () => {
    const capacity = new Capacity(limitsFrom('modelMemoryBytesMax=250'));
    let bytes = 100;
    const growing = await sized(0).start({ name: 'm', digest: '', load: async () => new Uint8Array() });
    const runtime: Runtime = { start: async () => Object.assign(growing, { residentBytes: () => bytes }) };
    const a = setUp({ label: 'a/1', capacity, runtime: sized(100) });
    const b = setUp({ label: 'b/1', capacity, runtime });
    await a.ask(1);
    await b.ask(1);
    await pause(300);
    await b.ask(2);
    bytes = 200;
    capacity.refresh(performance.now() + 60_000);
    expect([a, b].map(({ host }) => host.statistics().replicas)).toEqual([0, 1]);
    expect(capacity.memoryBytes).toBe(200);
  });

  it('does not unload a model in use: the other waits its turn', async () => {
    const capacity = new Capacity(limitsFrom('modelMemoryBytesMax=150'));
    const [a, b] = ['a/1', 'b/1'].map((label) => setUp({ label, capacity, runtime: sized(100) }));
    await a!.ask(1);
    expect(await b!.ask(2)).toBe(2); // after 250 ms without a request to a
    expect([a, b].map((each) => each!.host.statistics().replicas)).toEqual([0, 1]);
  });
});
