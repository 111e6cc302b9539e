import { ManualClock } from '../../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../../kernel/cloudevent.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { write } from '../../store/lane.ts';
import { FlowError } from '../catalog/flow-errors.ts';
import { type CallPrimitive, type Catalog, catalogOf } from '../catalog/primitive.ts';
import { WorkflowEngine } from './engine.ts';
import { Line, START_MS, type StoreFixture } from './engine-conformance-world.ts';
import { acted, attemptOf } from './model-flows.ts';
import type { RunStore } from './run-store.ts';
import type { Entry, StoredRun } from './stored-run.ts';

/**
 * Where a process ends: at its n-th commit, before it is made (`before`) or with its answer lost (`lost`); at its n-th call of a primitive (`call`); or it
 * freezes at a commit (`frozen`) or in a call (`stuck`), and wakes when another has ended the run.
 */
export interface Crash {
  readonly how: 'before' | 'lost' | 'call' | 'frozen' | 'stuck';
  readonly at: number;
}

interface Effect {
  readonly key: string;
  readonly value: number;
  readonly idempotencyKey: string;
  /** Which process did it, from 0. */
  readonly life: number;
}

export interface Performed {
  readonly run: StoredRun;
  readonly entries: readonly Entry[];
  readonly effects: readonly Effect[];
  readonly emitted: readonly string[];
  /** What was done that may not be: effects whose result was recorded before, or done by a worker that had lost its lease. */
  readonly faults: readonly string[];
  readonly crashes: number;
}

const NAME = 'random';
const LOOKS_MAX = 1_500;

/** Runs a flow once, through crashes; time stands still while anything can go on without it. */
export async function perform(
  fixture: StoreFixture,
  definition: JsonObject,
  input: number,
  crashes: readonly Crash[],
): Promise<Performed> {
  await fixture.reset();
  const performance = new Performance(fixture, definition, crashes);
  try {
    return await performance.toItsEnd(input);
  } finally {
    await performance.close();
  }
}

class Performance {
  readonly clock = new ManualClock(START_MS);
  readonly effects: Effect[] = [];
  readonly faults: string[] = [];
  /** How many processes were lost. */
  crashed = 0;
  /** Keys that were recorded when the last process was lost. */
  recorded: ReadonlySet<string> = new Set();
  readonly #fixture: StoreFixture;
  readonly #store: RunStore;
  readonly #definition: JsonObject;
  readonly #crashes: Crash[];
  readonly #lives: Life[] = [];
  #offset = 0;

  constructor(fixture: StoreFixture, definition: JsonObject, crashes: readonly Crash[]) {
    this.#fixture = fixture;
    this.#store = fixture.open();
    this.#definition = definition;
    this.#crashes = [...crashes];
  }

  async toItsEnd(input: number): Promise<Performed> {
    const request = { workflow: NAME, idempotencyKey: 'one', input };
    let life = await this.#begin();
    void life.engine.start(request).catch(() => {});
    for (let look = 0; look < LOOKS_MAX; look++) {
      if (life.lost) {
        this.crashed++;
        life = await this.#after(life);
        void life.engine.start(request).catch(() => {});
      }
      const run = await this.#store.findByKey(NAME, 'one');
      if (run?.result) return this.#ended(run);
      if (run?.status === 'waiting' && life.engine.active === 0 && !life.lost) await this.#goOn(life);
      await new Promise((resolve) => (look < 50 ? setImmediate(resolve) : setTimeout(resolve, 1)));
    }
    const left = await this.#store.findByKey(NAME, 'one');
    throw new Error(
      `The run came to no end: ${left?.status} ${left?.wakeAtMs} at ${this.clock.now()}, ${life.engine.active} active, ${JSON.stringify(left && (await this.#store.entries(left.id)))}`,
    );
  }

  async #ended(run: StoredRun): Promise<Performed> {
    const entries = await this.#store.entries(run.id);
    this.recorded = new Set(entries.map(({ k }) => k));
    for (const { frozen, wake } of this.#lives) if (frozen) wake();
    // Those that wake do what they would do: write, and be told that the run is no longer theirs.
    await new Promise((resolve) => setTimeout(resolve, this.#lives.some(({ frozen }) => frozen) ? 60 : 0));
    const after = await this.#store.entries(run.id);
    if (after.length !== entries.length) this.faults.push('a worker that had lost the run wrote');
    const notes = await this.#fixture.readNotes();
    const emitted = notes.map((note) => note.slice(`${run.id}/`.length));
    return {
      run,
      entries,
      effects: this.effects,
      emitted,
      faults: this.faults,
      crashes: this.crashed,
    };
  }

  async #begin(): Promise<Life> {
    const life = new Life(this, this.#fixture, this.#definition, this.#crashes.shift());
    this.#lives.push(life);
    // It may be lost as soon as it has taken the run over, and then never ends its beginning.
    let begun = false;
    void life.engine.begin().then(() => {
      begun = true;
    });
    while (!begun && !life.lost) await new Promise((resolve) => setImmediate(resolve));
    return life;
  }

  /** The next process, when one is lost. */
  async #after(life: Life): Promise<Life> {
    await this.#store.leave(life.engine.workerId);
    const run = await this.#store.findByKey(NAME, 'one');
    this.recorded = new Set(run ? (await this.#store.entries(run.id)).map(({ k }) => k) : []);
    return this.#begin();
  }

  /** Events that the run listens for come at once; only when there are none does time pass. */
  async #goOn({ engine }: Life): Promise<void> {
    const types = await this.#store.subscribedTypes();
    const offered = types.filter((type) => this.#mayOffer(type));
    if (offered.length > 0) {
      const events = offered.map((type) => this.#logged(type));
      const after = await this.#fixture.transaction((tx) => engine.deliver(events, tx));
      after();
      return;
    }
    const dueMs = await this.#store.nextDueMs();
    if (dueMs !== undefined) this.clock.advanceTo(dueMs);
  }

  readonly #offers = new Map<string, number>();

  /** A subscription that is left behind would take events for ever. */
  #mayOffer(type: string): boolean {
    const offers = (this.#offers.get(type) ?? 0) + 1;
    this.#offers.set(type, offers);
    return offers <= 100;
  }

  #logged(type: string): LoggedEvent {
    const [, id = '0', which] = type.split('.');
    const timeMs = this.clock.now();
    const offset = this.#offset++;
    const event: CloudEvent = {
      specversion: '1.0',
      id: `e-${offset}`,
      source: 'urn:test',
      type,
      time: new Date(timeMs).toISOString(),
      data: Number(id) + (which === 'b' ? 1 : 0),
    };
    return { event, timeMs, recordedAtMs: timeMs, partition: 0, offset };
  }

  async close(): Promise<void> {
    for (const { frozen, wake } of this.#lives) if (frozen) wake();
    await Promise.all(this.#lives.map((life) => life.end()));
  }
}

/** A process: an engine whose line to the store can be cut and held, and whose steps can be kept from going on. */
class Life {
  readonly engine: WorkflowEngine;
  frozen = false;
  /** Its line cuts itself at the commit that it is told. */
  readonly #line = new Line();
  readonly #of: Performance;
  #crash: Crash | undefined;
  readonly #woken: Promise<void>;
  #wake: () => void = () => {};
  /** It froze in this turn of its loop: what its microtasks still begin had passed its check before, where no check can be. */
  #freezing = false;
  #skewMs = 0;
  #commits = 0;
  #calls = 0;

  constructor(of: Performance, fixture: StoreFixture, definition: JsonObject, crash: Crash | undefined) {
    this.#of = of;
    this.#crash = crash;
    this.#woken = new Promise((resolve) => {
      this.#wake = resolve;
    });
    if (crash?.how === 'before' || crash?.how === 'lost') {
      this.#line.cutAt = { commit: crash.at, made: crash.how === 'lost' };
    }
    const { clock } = of;
    this.engine = new WorkflowEngine({
      store: this.#watched(this.#line.through(fixture.open())),
      catalog: this.#catalog(),
      clock: {
        now: () => clock.now(),
        monotonicMs: () => clock.monotonicMs() + this.#skewMs,
        onAdvance: (listener: (nowMs: number) => void) => clock.onAdvance(listener),
      } as ManualClock,
      limits: limitsFrom('runLeaseMs=60000,runPollMs=20,runParkMs=1,runDrainMs=50,runCancelMs=50'),
      findDefinition: async () => undefined,
      emit: (event) => write(fixture.notes, event.id),
    });
    this.engine.put({ name: NAME, version: 1, digest: 'random', body: definition });
  }

  get lost(): boolean {
    return this.frozen || this.#line.cut;
  }

  /** Goes on where it froze: its lease has long run out. */
  readonly wake = (): void => {
    this.#line.release();
    this.#wake();
  };

  async end(): Promise<void> {
    this.#crash = undefined;
    this.#line.cutAt = undefined;
    const stopped = this.engine.stop().catch(() => {});
    // A dead process never hears of its end: its timers are gone, and what waits for its line waits for ever.
    if (!this.#line.cut) await stopped;
  }

  #freeze(): void {
    this.frozen = true;
    this.#freezing = true;
    setImmediate(() => {
      this.#freezing = false;
    });
    this.#skewMs = 3_600_000;
    this.#line.hold();
  }

  /** Commits are counted on their way to the line: it cuts at one of them, or is held from it on. */
  #watched(store: RunStore): RunStore {
    const commit: RunStore['commit'] = {
      commit: (writes) => {
        const number = this.#commits++;
        if (this.#crash?.at === number && this.#crash.how === 'frozen') this.#freeze();
        return store.commit.commit(writes);
      },
    };
    return new Proxy(store, {
      get: (target, name) => (name === 'commit' ? commit : Reflect.get(target, name)),
    });
  }

  #catalog(): Catalog {
    const primitive = (
      name: string,
      kind: CallPrimitive['kind'],
      answer: (value: number, tag: number, input: JsonObject, key: string) => number,
    ): CallPrimitive => ({
      name,
      version: 1,
      kind,
      inputSchema: { type: 'object' },
      run: async (input, { stepKey, idempotencyKey }) => {
        const [value, tag] = [Number(input.value), Number(input.tag)];
        if (this.lost && !this.#freezing) {
          if (!this.frozen) return new Promise(() => {});
          if (kind === 'effect') this.#of.faults.push(`${stepKey} was begun by a worker without a lease`);
        } else if (kind === 'effect') {
          if (this.#of.recorded.has(stepKey))
            this.#of.faults.push(`${stepKey} was done again after it was recorded`);
          this.#of.effects.push({ key: stepKey, value, idempotencyKey, life: this.#of.crashed });
        }
        await this.#pass();
        return { output: answer(value, tag, input, stepKey) };
      },
    });
    const chance = (value: number) => value + Math.floor(Math.random() * 20);
    return catalogOf([
      primitive('look', 'pure', chance),
      primitive('think', 'costly', chance),
      primitive('act', 'effect', (value, tag, { fails }, key) => {
        if (attemptOf(key) >= Number(fails)) return acted(value, tag);
        throw new FlowError({ type: 'https://example.com/errors/flaky', status: 503, title: 'flaky' });
      }),
    ]);
  }

  /** A call takes a little, in which other branches go on, or in which the process is lost. */
  async #pass(): Promise<void> {
    if (this.#calls++ === this.#crash?.at && !this.lost) {
      if (this.#crash.how === 'call') this.#line.cut = true;
      if (this.#crash.how === 'stuck') this.#freeze();
    }
    for (let turns = Math.floor(Math.random() * 3); turns > 0; turns--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (this.frozen) await this.#woken;
    else if (this.lost) await new Promise(() => {});
  }
}
