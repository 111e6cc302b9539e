import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { DAY, type FeatureProcess, FeaturesUnderTest, featuresOf, order } from './features-under-test.ts';

const VIEW = (name: string, more: string) => `
name: ${name}
entity: customer
source: { event: order, each: data.lines }
keys: { customer: data.customer }
${more}
features: { ${name}_spend: { aggregate: sum, of: item.amount } }`;

/** A consumer that commits when it is told to. */
class Group {
  next = 0;
  readonly asked: number[] = [];
  onAsked: () => Promise<void> = async () => {};
  offset = () => this.next;
  continuity = () => 0;
  passed = async ({ offset }: { offset: number }) => {
    if (offset < this.next) return;
    this.asked.push(offset);
    await this.onAsked();
  };
}

describe('features of events that are in the log and not yet committed as features', () => {
  let features: FeaturesUnderTest;
  let group: Group;
  let process: FeatureProcess;
  let offset = 0;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(featureViewKind, VIEW('exact', ''));
    await features.put(featureViewKind, VIEW('tiled', 'tile: 1h'));
    await features.put(featureServiceKind, 'name: exact-only\nviews: [exact]');
    await features.put(featureServiceKind, 'name: both\nviews: [exact, tiled]');
    group = new Group();
    process = await features.start([], undefined, group);
  });
  afterAll(() => features.close());

  const bought = (customer: string, timeMs = DAY) =>
    order(customer, timeMs, { partition: 0, offset: offset++ }, [{ product: 'p', amount: 5 }]);
  const commit = async (events: readonly LoggedEvent[]) => {
    const follow = await features.commit(process, events);
    group.next = offset;
    follow();
  };
  const spend = async (service: string, customer: string, at: number, timeMs = 2 * DAY) =>
    featuresOf(process, service, customer, timeMs, { partition: 0, offset: at });

  it('count as of a place, once, before and after their commit', async () => {
    const events = [bought('ann'), bought('ann'), bought('ann')];
    process.store.apply(events);
    expect((await spend('exact-only', 'ann', events[2]!.offset)).exact_spend).toBe(10);
    expect((await spend('exact-only', 'ann', offset)).exact_spend).toBe(15);
    await commit(events);
    expect((await spend('exact-only', 'ann', events[2]!.offset)).exact_spend).toBe(10);
    expect((await spend('exact-only', 'ann', offset)).exact_spend).toBe(15);
    expect(group.asked).toEqual([]);
  });

  it('count once when what is read from the database holds them already', async () => {
    const events = [bought('bob'), bought('bob')];
    process.store.apply(events);
    // Committed by another process, and this one is not told: the state is read with them in it.
    await features.commit(process, events);
    expect((await spend('exact-only', 'bob', offset)).exact_spend).toBe(10);
    group.next = offset;
    expect((await spend('exact-only', 'bob', offset)).exact_spend).toBe(10);
  });

  it('are waited for after a gap, and where the sum of a tile would show them', async () => {
    const [missing, after] = [bought('cid'), bought('cid')];
    process.store.apply([after!]);
    group.onAsked = () => commit([missing!, after!]);
    expect((await spend('exact-only', 'cid', offset)).exact_spend).toBe(10);
    expect(group.asked.splice(0)).toEqual([after!.offset]);
    const tiled = [bought('cid')];
    process.store.apply(tiled);
    group.onAsked = () => commit(tiled);
    expect((await spend('both', 'cid', offset, DAY + 60_000)).tiled_spend).toBe(0);
    expect(group.asked).toEqual([]); // its tile has not ended
    expect((await spend('both', 'cid', offset)).tiled_spend).toBe(15);
    expect(group.asked).toEqual([tiled[0]!.offset]);
  });
});
