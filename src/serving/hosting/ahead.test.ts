import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { limitsFrom } from '../../kernel/limits.ts';
import type { BatchAnswer, Replica } from '../runtimes/runtime.ts';
import type { Tensor, TensorSpec } from '../tensors/tensor.ts';
import { Capacity } from './capacity.ts';
import { ModelHost } from './model-host.ts';
import { InferRequest } from './request.ts';
import type { ServingOptions } from './serving-options.ts';

const spec: TensorSpec = { name: 'x', datatype: 'FP32', shape: [-1, 1] };

/** A replica that answers only when it is told to, once it is held, and remembers the values of what it was given since. */
class Told implements Replica {
  readonly inputs = [spec];
  readonly outputs = [{ ...spec, name: 'y' }];
  given: number[][] = [];
  isHeld = false;
  isKilled = false;
  readonly #waiting: { answer(): void; reject(error: Error): void }[] = [];
  #end: (reason: Error) => void = () => {};
  readonly takesAhead: boolean;
  /** Of each run. */
  computeUs = 1;

  constructor(takesAhead: boolean) {
    this.takesAhead = takesAhead;
  }

  run(requests: readonly (readonly Tensor[])[]): Promise<BatchAnswer> {
    const values = requests.map(([x]) => Number((x!.data as Float32Array)[0]));
    this.given.push(values);
    return new Promise((resolve, reject) => {
      const data = Float32Array.from(values, (value) => -value);
      const outputs: Tensor[] = [{ name: 'y', datatype: 'FP32', shape: [values.length, 1], data }];
      const answer = () => resolve({ outputs, computeUs: this.computeUs });
      if (this.isHeld) this.#waiting.push({ answer, reject });
      else answer();
    });
  }

  /** Ends the run that it is at. */
  async answer(): Promise<void> {
    this.#waiting.shift()?.answer();
    await sleep(5);
  }

  kill(): void {
    this.isKilled = true;
    const reason = new Error('killed');
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
    this.#end(reason);
  }

  onEnd(listener: (reason: Error) => void): void {
    this.#end = listener;
  }
}

const open: ModelHost[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const host of open.splice(0)) host.close();
});

const OPTIONS: ServingOptions = {
  replicas: 1,
  batchMax: 2,
  batch: { max: 2 },
  timeoutMs: 5_000,
  queueMax: 100,
  costPerInferenceMicroUsd: 0,
  costPerComputeSecondMicroUsd: 0,
};

/** A host with batches of two rows and one replica, which has warmed up and is held; `replicas` are all that it starts. */
async function setUp({ takesAhead = true, ...options }: { takesAhead?: boolean; timeoutMs?: number } = {}) {
  const replicas: Told[] = [];
  const start = async () => {
    const replica = new Told(takesAhead);
    replicas.push(replica);
    return replica;
  };
  const model = { name: 'm', digest: 'm', load: async () => new Uint8Array() };
  const host = new ModelHost(
    'm/1',
    model,
    { start },
    { ...OPTIONS, ...options },
    new Capacity(limitsFrom(), 4),
  );
  open.push(host);
  await host.start();
  const [replica] = replicas as [Told];
  replica.isHeld = true;
  replica.given = [];
  const ask = (value: number, signal?: AbortSignal) => {
    const x: Tensor = { name: 'x', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(value) };
    const request = new InferRequest([x], 1, performance.now(), 10_000, signal);
    host.submit(request);
    return request.answer.then(({ outputs }) => Number((outputs[0]!.data as Float32Array)[0]));
  };
  const askAll = (...values: number[]) => Promise.allSettled(values.map((value) => ask(value)));
  return { host, replica, replicas, ask, askAll };
}

const answered = (...values: number[]) => values.map((value) => ({ status: 'fulfilled', value }));

describe('a replica that takes a batch ahead', () => {
  it('gets the next one while it works on another, when that is full, and no third', async () => {
    const { replica, ask, askAll } = await setUp();
    const first = askAll(1, 2);
    await sleep(5);
    const third = ask(3);
    await sleep(5);
    expect(replica.given).toEqual([[1, 2]]); // one row may still get company
    const rest = askAll(4, 5, 6, 7);
    await sleep(5);
    expect(replica.given).toEqual([
      [1, 2],
      [3, 4],
    ]);
    await replica.answer();
    expect(await first).toEqual(answered(-1, -2));
    expect(replica.given.slice(2)).toEqual([[5, 6]]);
    for (let batch = 0; batch < 3; batch++) await replica.answer();
    expect(await third).toBe(-3);
    expect(await rest).toEqual(answered(-4, -5, -6, -7));
  });

  it('gets it half full where a batch runs long', async () => {
    const { replica, ask, askAll } = await setUp();
    replica.computeUs = 5_000;
    const first = askAll(1, 2);
    await sleep(5);
    await replica.answer();
    const rest = [ask(3)];
    await sleep(5);
    rest.push(ask(4));
    await sleep(5);
    expect(replica.given).toEqual([[1, 2], [3], [4]]);
    await replica.answer();
    await replica.answer();
    expect(await first).toEqual(answered(-1, -2));
    expect(await Promise.all(rest)).toEqual([-3, -4]);
  });

  it('or else gets it once it has answered', async () => {
    const { replica, askAll } = await setUp({ takesAhead: false });
    const all = askAll(1, 2, 3, 4);
    await sleep(5);
    expect(replica.given).toEqual([[1, 2]]);
    await replica.answer();
    await replica.answer();
    expect(await all).toEqual(answered(-1, -2, -3, -4));
  });

  it('is at fault for the batch that it ran too long alone: what was ahead is run by the next replica', async () => {
    const { replica, replicas, askAll } = await setUp({ timeoutMs: 60 });
    const all = askAll(1, 2, 3, 4);
    await expect.poll(() => replica.isKilled).toBe(true);
    expect(await all).toEqual(answered(-1, -2, -3, -4)); // each alone, by the replica after it
    expect(replicas).toHaveLength(2);
    expect(replicas[1]!.given.slice(-4)).toEqual([[1], [2], [3], [4]]);
  });

  it('has as long for each batch as for one, from when it could begin with it', async () => {
    const { replica, askAll } = await setUp({ timeoutMs: 1500 });
    let nowMs = 1_000;
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    const all = askAll(1, 2, 3, 4);
    for (let batch = 0; batch < 2; batch++) {
      await sleep(5);
      nowMs += 1_499;
      await sleep(50); // what is past its time is looked for every 10 ms
      await replica.answer();
    }
    expect(await all).toEqual(answered(-1, -2, -3, -4));
    expect(replica.isKilled).toBe(false);
  });

  it('ends both when it goes, and neither caller is left', async () => {
    const { host, replica, askAll } = await setUp();
    const all = askAll(1, 2, 3, 4);
    await sleep(5);
    host.unload();
    expect(replica.isKilled).toBe(false);
    await replica.answer();
    await replica.answer();
    expect(await all).toEqual(answered(-1, -2, -3, -4));
    expect(replica.isKilled).toBe(true);
  });

  it('tells those who are ahead when the model is closed, and who gave up at once', async () => {
    const { host, ask, askAll } = await setUp();
    const first = askAll(1, 2);
    const controller = new AbortController();
    const gaveUp = ask(3, controller.signal);
    const fourth = askAll(4);
    await sleep(5);
    controller.abort();
    await expect(gaveUp).rejects.toMatchObject({ code: 'serving.canceled' });
    host.close();
    expect([...(await first), ...(await fourth)]).toMatchObject(
      Array.from({ length: 3 }, () => ({ status: 'rejected', reason: { code: 'serving.unavailable' } })),
    );
  });
});
