import { digestOf } from '../../kernel/canonical.ts';
import { ManualClock } from '../../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../../kernel/cloudevent.ts';
import { readDocument } from '../../kernel/document.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import type { Queryable } from '../../store/database.ts';
import { type Lane, write } from '../../store/lane.ts';
import { type Catalog, catalogOf, type Primitive } from '../catalog/primitive.ts';
import { runQueueKind } from '../language/run-queue.ts';
import { WorkflowEngine } from './engine.ts';
import { findIn, type WorkflowDefinition } from './flows.ts';
import type { RunStore } from './run-store.ts';
import type { StoredRun } from './stored-run.ts';

/** A store to hold the engine to. */
export interface StoreFixture {
  /** A store over the same rows: each engine of a test has one of its own, as each process has. */
  open(): RunStore;
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /** A lane of another module, and what it wrote. */
  notes: Lane<string>;
  readNotes(): Promise<string[]>;
  /** Forgets all rows. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export const START_MS = Date.UTC(2026, 0, 1);

/** Engines over one store, with primitives whose doings can be counted, held back and made to fail. */
export class World {
  readonly fixture: StoreFixture;
  readonly clock = new ManualClock(START_MS);
  /** What was done, in order: `act:key`, `count:name` … */
  readonly done: string[] = [];
  readonly aborted: string[] = [];
  /** The idempotency keys that effects were made under, in order. */
  readonly effectKeys: { name: string; key: string }[] = [];
  #gates = new Map<string, { promise: Promise<void>; open: () => void }>();
  readonly #definitions = new Map<string, WorkflowDefinition>();
  readonly #queues = new Map<string, JsonObject>();
  readonly #engines: { engine: WorkflowEngine; line: Line }[] = [];
  readonly catalog: Catalog;
  #offset = 0;

  constructor(fixture: StoreFixture) {
    this.fixture = fixture;
    this.catalog = catalogOf(this.#primitives());
  }

  times(what: string): number {
    return this.done.filter((each) => each === what || each.startsWith(`${what}:`)).length;
  }

  /** Steps that name the gate wait until it is opened. */
  gate(name: string): { promise: Promise<void>; open: () => void } {
    let gate = this.#gates.get(name);
    if (!gate) {
      let open = () => {};
      const promise = new Promise<void>((resolve) => {
        open = resolve;
      });
      gate = { promise, open };
      this.#gates.set(name, gate);
    }
    return gate;
  }

  /** An engine with a line to its store that can be cut; it polls often. */
  async engine(limits = ''): Promise<{ engine: WorkflowEngine; line: Line }> {
    const line = new Line();
    const engine = new WorkflowEngine({
      store: line.through(this.fixture.open()),
      catalog: this.catalog,
      clock: this.clock,
      limits: limitsFrom(`runLeaseMs=5000,runPollMs=20,runCancelMs=50,runDrainMs=50,${limits}`),
      findDefinition: findIn({
        version: async (_, name, version) => this.#definitions.get(`${name}@${version}`),
        versions: async (_, name) =>
          [...this.#definitions.values()].filter((known) => known.name === name).reverse(),
      }),
      emit: (event) => write(this.fixture.notes, `emit:${event.id}`),
      audit: ({ action, actor, object }) =>
        write(this.fixture.notes, `audit:${action}:${object}:${actor.id}`),
    });
    for (const body of this.#queues.values()) engine.putQueue(body);
    for (const definition of this.#definitions.values()) engine.put(definition);
    await engine.begin();
    this.#engines.push({ engine, line });
    return { engine, line };
  }

  /** Defines a flow, `do:` and what follows it; known to the engines that there are and that come. */
  define(name: string, text: string, version = 1, metadata = '{}', semver = '1.0.0'): void {
    const head = `document: { dsl: '1.0.0', namespace: test, name: ${name}, version: '${semver}', metadata: ${metadata} }\nevaluate: { language: cel }\n`;
    this.defineWhole(name, head + text, version);
  }

  /** A flow with its head. */
  defineWhole(name: string, text: string, version = 1): void {
    const body = readDocument(text, `${name}.yaml`).value;
    const definition = { name, version, digest: digestOf(body), body };
    this.#definitions.set(`${name}@${version}`, definition);
    for (const { engine } of this.#engines) engine.put(definition);
  }

  /** Engines that come know it no more. */
  forget(name: string, version = 1): void {
    this.#definitions.delete(`${name}@${version}`);
  }

  /** Defines a queue of runs, the members after its name. */
  defineQueue(name: string, text: string): void {
    const { body } = runQueueKind.parse(readDocument(`name: ${name}\n${text}`, `${name}.yaml`), new Map());
    this.#queues.set(name, body);
    for (const { engine } of this.#engines) engine.putQueue(body);
  }

  event(type: string, data: JsonObject, id = `e-${this.#offset}`): LoggedEvent {
    const timeMs = this.clock.now();
    const time = new Date(timeMs).toISOString();
    const event: CloudEvent = { specversion: '1.0', id, source: 'urn:test', type, time, data };
    return { event, timeMs, recordedAtMs: timeMs, partition: 0, offset: this.#offset++ };
  }

  /** What a consumer group does with a batch. */
  async consume(engine: WorkflowEngine, ...events: LoggedEvent[]): Promise<void> {
    const after = await this.fixture.transaction((tx) => engine.startFromEvents(events, tx));
    after();
  }

  async deliver(engine: WorkflowEngine, ...events: LoggedEvent[]): Promise<void> {
    const after = await this.fixture.transaction((tx) => engine.deliver(events, tx));
    after();
  }

  async close(): Promise<void> {
    for (const { promise: _, open } of this.#gates.values()) open();
    await this.retire();
  }

  /** An engine is gone without a word, and its lease has run out. */
  async kill({ engine, line }: { engine: WorkflowEngine; line: Line }): Promise<void> {
    line.cut = true;
    await this.fixture.open().leave(engine.workerId);
  }

  /** Stops the engines that there are. */
  async retire(): Promise<void> {
    const engines = this.#engines.splice(0);
    await Promise.all(engines.map(({ engine, line }) => (line.cut ? undefined : engine.stop())));
  }

  #primitives(): Primitive[] {
    const inputSchema = { type: 'object' };
    const does = async (what: string, { name = '', gate, fail, away }: JsonObject, signal?: AbortSignal) => {
      this.done.push(`${what}:${name}`);
      signal?.addEventListener('abort', () => this.aborted.push(String(name)));
      if (gate) await this.gate(String(gate)).promise;
      if (away && this.times(`${what}:${name}`) <= Number(away)) throw new AiosError('store.unavailable');
      if (fail && this.times(`${what}:${name}`) <= Number(fail)) {
        throw new AiosError('request.timeout', { detail: `attempt ${this.times(`${what}:${name}`)}` });
      }
    };
    const note = (text: string) => write(this.fixture.notes, text);
    const ask: Primitive = {
      name: 'ask',
      version: 1,
      kind: 'wait',
      inputSchema,
      open: ({ inMs, settled }, { stepKey, nowMs }) => {
        const writes = [note(`asked:${stepKey}`)];
        if (settled !== undefined) return { output: settled, writes };
        return {
          state: stepKey,
          deadlineMs: inMs === undefined ? undefined : nowMs + Number(inMs),
          writes,
        };
      },
      complete: (outcome) => ({ output: outcome.kind === 'signal' ? outcome.payload : 'late' }),
      cancel: (state) => [note(`closed:${state}`)],
    };
    return [
      {
        name: 'count',
        version: 1,
        kind: 'pure',
        inputSchema,
        run: async (input) => {
          await does('count', input);
          return {
            output: { value: input.value ?? null },
            writes: input.note ? [note(String(input.note))] : [],
          };
        },
      },
      {
        name: 'dear',
        version: 1,
        kind: 'costly',
        inputSchema,
        run: async (input) => {
          await does('dear', input);
          return { output: this.times('dear') };
        },
      },
      {
        name: 'act',
        version: 1,
        kind: 'effect',
        inputSchema,
        run: async (input, { idempotencyKey, signal }) => {
          this.effectKeys.push({ name: String(input.name), key: idempotencyKey });
          await does('act', input, signal);
          return { output: idempotencyKey };
        },
      },
      ask,
      { ...ask, name: 'person', answeredBy: 'the inbox answers it' },
    ];
  }
}

/** What only makes writes, or registers. */
const SYNCHRONOUS = new Set([
  ...['save', 'signal', 'consume', 'subscribe', 'unsubscribe', 'onSignal'],
  ...['enqueue', 'leave', 'setPaused', 'onChange'],
]);

/** The line between an engine and its store: cut, the engine is as good as dead; held, it is frozen until it is let go. */
export class Line {
  cut = false;
  /** Cuts at a commit, counted from 0: before it is made, or after it with its answer lost. */
  cutAt: { commit: number; made: boolean } | undefined;
  /** Cuts at the next change of a schedule, before it is made or after it. */
  cutAtChange: { made: boolean } | undefined;
  /** So many commits find that the store is away, or that too many wait for it. */
  away = 0;
  awayBy: 'store.unavailable' | 'request.overloaded' = 'store.unavailable';
  /** The call whose next answer that has runs in it does not arrive. */
  lostAnswer: 'claim' | 'takeOver' | 'admit' | undefined;
  /** So many have been begun. */
  commits = 0;
  #held: Promise<void> | undefined;
  #release: () => void = () => {};

  hold(): void {
    this.#held = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#held = undefined;
    this.#release();
  }

  through(store: RunStore): RunStore {
    const guarded = async (call: () => unknown): Promise<unknown> => {
      if (this.#held) await this.#held;
      if (this.cut) return new Promise(() => {});
      const result = await call();
      return this.cut ? new Promise(() => {}) : result;
    };
    const commit: RunStore['commit'] = {
      commit: (writes) =>
        guarded(async () => {
          if (this.away > 0) {
            this.away--;
            throw new AiosError(this.awayBy);
          }
          const here = this.cutAt?.commit === this.commits++ ? this.cutAt : undefined;
          if (here && !here.made) this.cut = true;
          const results = this.cut ? [] : await store.commit.commit(writes);
          if (here) this.cut = true;
          return results;
        }) as Promise<unknown[]>,
    };
    const schedules = new Proxy(store.schedules, {
      get: (target, name) => {
        const member = Reflect.get(target, name) as (...args: unknown[]) => unknown;
        return (...args: unknown[]) =>
          name === 'ended'
            ? member.apply(target, args)
            : guarded(async () => {
                const here = name === 'change' ? this.cutAtChange : undefined;
                if (here && !here.made) this.cut = true;
                const result = this.cut ? undefined : await member.apply(target, args);
                if (here) this.cut = true;
                return result;
              });
      },
    });
    const through = <T extends object>(whole: T, replaced: object): T =>
      new Proxy(whole, {
        get: (target, name) => {
          if (Object.hasOwn(replaced, name)) return Reflect.get(replaced, name);
          const member = Reflect.get(target, name);
          if (typeof member !== 'function') return member;
          return (...args: unknown[]) =>
            SYNCHRONOUS.has(String(name))
              ? member.apply(target, args)
              : guarded(async () => this.#arriving(String(name), await member.apply(target, args)));
        },
      });
    return through(store, { commit, schedules, queues: through(store.queues, {}) });
  }

  #arriving(call: string, answer: unknown): unknown {
    if (call !== this.lostAnswer) return answer;
    const runs = call === 'admit' ? (answer as { runs: unknown[] }).runs : (answer as unknown[]);
    if (runs.length === 0) return answer;
    this.lostAnswer = undefined;
    throw new AiosError('store.unavailable');
  }
}

/** Half of what a test may take, so that what is known is told before the test is given up. */
const UNTIL_MS = 60000;

/** Waits until something is so; gives up with what `known` tells. */
export async function until<T>(
  look: () => T | Promise<T>,
  known: () => unknown = () => undefined,
): Promise<NonNullable<T>> {
  const endsAtMs = performance.now() + UNTIL_MS;
  do {
    const found = await look();
    if (found) return found as NonNullable<T>;
    await new Promise((resolve) => setTimeout(resolve, 5));
  } while (performance.now() < endsAtMs);
  throw new Error(`never came to be: ${look}\n${JSON.stringify(await known(), undefined, 1)}`);
}

/** Waits until a run has a status. */
export function reaches(
  engine: WorkflowEngine,
  runId: string,
  status: StoredRun['status'],
): Promise<StoredRun> {
  const find = async () => {
    const [run] = (await engine.runs.list({ text: runId })).items;
    return run && engine.runs.get(run.id);
  };
  return until(async () => {
    const run = await find();
    return run?.status === status ? run : undefined;
  }, find);
}

export function outputOf(run: { result: StoredRun['result'] }): Json | undefined {
  return run.result?.output;
}
