import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Queryable } from '../store/database.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { DAY, type FeatureProcess, FeaturesUnderTest, featuresOf, order } from './features-under-test.ts';

const VIEW = (name: string, more: string) => `
name: ${name}
entity: customer
source: { event: order, each: data.lines }
keys: { customer: data.customer }
${more}
features: { ${name}_spend: { aggregate: sum, of: item.amount } }`;

/** Holds the answers of reads back until they are let go: the moment between a snapshot and its arrival. */
class HeldReads implements Queryable {
  readonly #db: Queryable;
  #held: Promise<void> | undefined;
  #release: () => void = () => {};
  #reading = 0;
  #taken = 0;

  /** Once all that was asked for has been read. */
  async taken(): Promise<void> {
    await vi.waitFor(() => expect(this.#taken > 0 && this.#reading === 0).toBe(true), 10_000);
  }

  constructor(db: Queryable) {
    this.#db = db;
  }

  hold(): void {
    this.#taken = 0;
    this.#held = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#release();
    this.#held = undefined;
  }

  async query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]> {
    const held = this.#held;
    this.#reading++;
    const rows = await this.#db.query<Row>(text, values).finally(() => this.#reading--);
    this.#taken++;
    await held;
    return rows;
  }
}

describe('what is in memory follows the stream exactly', () => {
  let features: FeaturesUnderTest;
  let offset = 0;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(featureViewKind, VIEW('exact', ''));
    await features.put(featureViewKind, VIEW('tiled', 'tile: 1h'));
    await features.put(featureServiceKind, 'name: both\nviews: [exact, tiled]');
  });
  afterAll(() => features.close());

  const bought = (customer: string) =>
    order(customer, DAY, { partition: 0, offset: offset++ }, [{ product: 'p', amount: 5 }]);
  const spend = async (process: FeatureProcess, customer: string) => {
    const { exact_spend, tiled_spend } = await featuresOf(process, 'both', customer, 2 * DAY);
    return [exact_spend, tiled_spend];
  };

  it('when a state is read between a commit and its news', async () => {
    const process = await features.start();
    const follow = await features.commit(process, [bought('between')]);
    expect(await spend(process, 'between')).toEqual([5, 5]);
    follow();
    expect(await spend(process, 'between')).toEqual([5, 5]);
    await features.feed(process, [bought('between')]);
    expect(await spend(process, 'between')).toEqual([10, 10]);
  });

  it('when a commit and its news come while an older snapshot is on its way', async () => {
    const reads = new HeldReads(features.database.db);
    const process = await features.start([], reads);
    await spend(process, 'nobody'); // what a process asks once, before its first vector
    reads.hold();
    const asked = spend(process, 'older');
    await reads.taken();
    await features.feed(process, [bought('older')]);
    reads.release();
    expect(await asked).toEqual([0, 0]);
    expect(await spend(process, 'older')).toEqual([5, 5]);
  });

  it('when a batch is rolled back and comes again', async () => {
    const process = await features.start();
    const event = bought('again');
    const failed = features.database.db.transaction(async (tx) => {
      await process.store.handle([event], tx);
      expect(await spend(process, 'again')).toEqual([0, 0]);
      throw new Error('rolled back');
    });
    await expect(failed).rejects.toThrow('rolled back');
    await features.feed(process, [event]);
    expect(await spend(process, 'again')).toEqual([5, 5]);
  });

  it('when a read fails: its callers are told, and the next one is answered', async () => {
    let broken = true;
    const process = await features.start([], {
      query: (text, values) =>
        broken ? Promise.reject(new Error('gone')) : features.database.db.query(text, values),
    });
    await expect(spend(process, 'failing')).rejects.toThrow('gone');
    broken = false;
    expect(await spend(process, 'failing')).toEqual([0, 0]);
  });
});
