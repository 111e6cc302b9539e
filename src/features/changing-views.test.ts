import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { FeatureBackfills } from './backfills.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { type FeatureProcess, FeaturesUnderTest, order } from './features-under-test.ts';

const HOUR = 3_600_000;
const NOW = 1_000 * HOUR;
const LATENESS_MS = [HOUR, 2 * HOUR, 2 * HOUR, Number.POSITIVE_INFINITY];
/** What the view may mean: of each its own state. */
const MEANINGS = ['lateness: 1h', 'lateness: 2h\ntile: 1h', 'lateness: 2h', 'tile: 2h'];
const CUSTOMERS = ['a', 'b'];

const who = fc.nat(1);
const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      of: fc.constant('events' as const),
      who,
      /** Some are known to memory before the consumer commits them, as of the process that took them in. */
      isApplied: fc.boolean(),
      events: fc.array(
        fc.record({
          customer: fc.constantFrom(...CUSTOMERS),
          hour: fc.nat(9),
          /** Around the bounds, to the millisecond. */
          delayMs: fc.constantFrom(0, HOUR - 1, HOUR, HOUR + 1, 2 * HOUR, 2 * HOUR + 1),
          partition: fc.nat(1),
        }),
        { minLength: 1, maxLength: 4 },
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ of: fc.constant('change' as const), to: fc.nat(MEANINGS.length - 1) }),
  },
  { weight: 2, arbitrary: fc.record({ of: fc.constant('hold' as const), to: fc.nat(3) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      of: fc.constant('backfill' as const),
      who,
      from: fc.nat(8),
      hours: fc.integer({ min: 1, max: 5 }),
    }),
  },
  /** `reads`: after how many reads of the log it dies. */
  {
    weight: 3,
    arbitrary: fc.record({
      of: fc.constant('sync' as const),
      who,
      reads: fc.option(fc.nat(3), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ of: fc.constant('both' as const) }) },
  { weight: 1, arbitrary: fc.record({ of: fc.constant('refresh' as const), who }) },
  { weight: 3, arbitrary: fc.record({ of: fc.constant('ask' as const), who }) },
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

describe('a stream view that is changed, held, and built anew by two processes while events come', () => {
  let features: FeaturesUnderTest;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
  });
  afterAll(() => features.close());

  it('counts each event once, in each version', { timeout: 240_000 }, async () => {
    let worlds = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { minLength: 4, maxLength: 25 }), async (happenings) => {
        const world = new World(features, `v${worlds++}`);
        await world.open();
        for (const each of happenings) await world.happen(each);
        await world.check();
      }),
      { numRuns: 15 },
    );
  });
});

class World {
  readonly features: FeaturesUnderTest;
  readonly view: string;
  readonly log: LoggedEvent[] = [];
  /** Per log partition: the offset before which all is committed. */
  readonly next = [0, 0];
  /** Per process: how often the other one has committed events. */
  readonly moves = [0, 0];
  readonly meanings: number[] = [];
  heldTo: number | undefined;
  processes: FeatureProcess[] = [];
  /** Reads of the log that are left to a process before it dies. */
  reads = Number.POSITIVE_INFINITY;

  constructor(features: FeaturesUnderTest, view: string) {
    this.features = features;
    this.view = view;
  }

  async open(): Promise<void> {
    const { db } = this.features.database;
    await db.queryDynamic('update event_consumers set log_offset = 0');
    await db.queryDynamic(
      'truncate feature_views, feature_contributions, feature_tiles, feature_late_events',
    );
    await this.change(0);
    await this.features.put(featureServiceKind, `name: now-${this.view}\nviews: [${this.view}]`);
    await this.features.put(featureServiceKind, `name: held-${this.view}\nviews: [${this.view}]`);
    this.processes = [await this.start(0), await this.start(1)];
    for (const each of this.processes) await each.views.sync();
  }

  start(who: number): Promise<FeatureProcess> {
    const { log } = this;
    const dying = new Proxy(log, {
      get: (target, property, receiver) => {
        if (property === 'filter' && this.reads-- <= 0) throw new Error('killed');
        return Reflect.get(target, property, receiver);
      },
    });
    return this.features.process(dying, undefined, {
      passed: async () => {},
      continuity: () => this.moves[who]!,
      offset: (partition) => this.next[partition]!,
    });
  }

  async change(to: number): Promise<void> {
    if (this.meanings.at(-1) === to) return;
    this.meanings.push(to);
    await this.features.put(
      featureViewKind,
      `name: ${this.view}\nentity: customer\nsource: { event: order, each: data.lines }\nkeys: { customer: data.customer }\n${MEANINGS[to]}\nfeatures: { count: { aggregate: count } }`,
    );
  }

  async happen(what: Happening): Promise<void> {
    switch (what.of) {
      case 'events': {
        const process = this.processes[what.who]!;
        const next = [...this.next];
        const events = what.events.map(({ customer, hour, delayMs, partition }) => {
          const offset = next[partition]!++;
          const timeMs = hour * HOUR;
          return {
            ...order(customer, timeMs, { partition, offset }, [{ n: 1 }]),
            recordedAtMs: timeMs + delayMs,
          };
        });
        this.log.push(...events);
        if (what.isApplied) process.store.apply(events);
        for (let tries = 0; ; tries++) {
          const failed = await this.features.feed(process, events).catch((error) => error);
          if (!failed) {
            for (const partition of [0, 1]) this.next[partition] = next[partition]!;
            this.moves[1 - what.who]!++;
            return;
          }
          expect(failed).toMatchObject({ code: 'store.conflict' });
          expect(tries).toBeLessThan(3);
        }
      }
      case 'change':
        return this.change(what.to);
      case 'hold': {
        const version = (what.to % this.meanings.length) + 1;
        this.heldTo = what.to === 3 ? undefined : version;
        const of = this.heldTo === undefined ? this.view : `{ view: ${this.view}, version: ${version} }`;
        return this.features.put(featureServiceKind, `name: held-${this.view}\nviews: [${of}]`);
      }
      case 'backfill': {
        const { views } = this.processes[what.who]!;
        const backfills = new FeatureBackfills({
          commit: this.features.database.commit,
          views: { streamView: (name) => views.streamView(name), sync: async () => {} },
          logBegin: async () => undefined,
        });
        const range = { fromMs: what.from * HOUR, toMs: (what.from + what.hours) * HOUR };
        const failed = await backfills
          .start({ view: this.view, ...range, includeLate: false }, [])
          .catch((error) => error);
        if (failed instanceof Error)
          expect(failed).toMatchObject({
            code: expect.stringMatching(/^features\.(building|unknown_view)$/),
          });
        return;
      }
      case 'sync': {
        this.reads = what.reads ?? Number.POSITIVE_INFINITY;
        const failed = await this.processes[what.who]!.views.sync().catch((error) => error);
        this.reads = Number.POSITIVE_INFINITY;
        if (!failed) return;
        expect(failed).toMatchObject({ message: 'killed' });
        this.processes[what.who] = await this.start(what.who);
        return this.processes[what.who]!.views.reload();
      }
      case 'both':
        await Promise.all(this.processes.map(({ views }) => views.sync()));
        return;
      case 'refresh':
        await this.processes[what.who]!.views.refresh();
        return;
      case 'ask':
        for (const service of [`now-${this.view}`, `held-${this.view}`]) await this.ask(what.who, service);
    }
  }

  /** Whatever version answers: it has counted all. */
  async ask(who: number, service: string): Promise<number | undefined> {
    const { definitions, store } = this.processes[who]!;
    await definitions.reload();
    const entities = CUSTOMERS.map((customer) => ({ customer }));
    const answer = await store.online({ service, entities, asOf: { timeMs: NOW } }).catch((error) => error);
    if (answer instanceof Error) {
      expect(answer).toMatchObject({ code: 'features.building' });
      return undefined;
    }
    const version = Number(
      answer.pins.find(({ kind }: { kind: string }) => kind === 'feature-view')!.version,
    );
    expect(answer.rows).toEqual(CUSTOMERS.map((customer) => [this.expected(customer, version)]));
    return version;
  }

  async check(): Promise<void> {
    await Promise.all(this.processes.map(({ views }) => views.sync()));
    for (const who of [0, 1]) {
      await this.processes[who]!.views.refresh();
      expect(await this.ask(who, `now-${this.view}`)).toBe(this.meanings.length);
      expect(await this.ask(who, `held-${this.view}`)).toBe(this.heldTo ?? this.meanings.length);
    }
  }

  /** The rule in the plainest words. */
  expected(customer: string, version: number): number {
    const latenessMs = LATENESS_MS[this.meanings[version - 1]!]!;
    return this.log.filter(
      ({ event, timeMs, recordedAtMs }) =>
        (event.data as { customer: string }).customer === customer && recordedAtMs - timeMs <= latenessMs,
    ).length;
  }
}
