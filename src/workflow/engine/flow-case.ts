import { digestOf } from '../../kernel/canonical.ts';
import { ManualClock } from '../../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../../kernel/cloudevent.ts';
import { parseDuration } from '../../kernel/duration.ts';
import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import type { Queryable } from '../../store/database.ts';
import type { Write } from '../../store/lane.ts';
import { FlowError } from '../catalog/flow-errors.ts';
import { catalogOf, type Primitive } from '../catalog/primitive.ts';
import { scriptPrimitive } from '../catalog/script.ts';
import { stepIdOf } from '../language/flow.ts';
import { type ReadResource, withResources } from '../language/resources.ts';
import { WorkflowEngine } from './engine.ts';
import { findIn, type WorkflowDefinition } from './flows.ts';
import { PendingAnswers } from './pending-answers.ts';
import type { RunStore } from './run-store.ts';
import type { Entry, StoredRun } from './stored-run.ts';

/** A run of a flow with its surroundings replaced: of the conformance set, and of `aios workflows test`. `conformance/ows/README.md` says what each member means. */
export interface FlowCase {
  readonly name: string;
  readonly flow: JsonObject;
  readonly flows?: { readonly [name: string]: JsonObject };
  readonly input?: Json;
  /** The event that starts the run, when it is not started with an input. */
  readonly event?: CaseEvent;
  /** Answers by the id of a step (`know/score`) or by the name of what is called (`infer`). */
  readonly mocks?: { readonly [name: string]: readonly Answer[] };
  readonly resources?: { readonly [uri: string]: string | JsonObject };
  /** Delivered one by one, each when the run waits; timers that are due before its `at` ring first. */
  readonly events?: readonly CaseEvent[];
}

/** `at` is when it comes, counted from the start; without it, when the run waits. */
type CaseEvent = Partial<CloudEvent> & { type: string; at?: string };

interface Answer {
  readonly output?: Json;
  readonly error?: { type?: string; status?: number; title?: string; detail?: string };
  /** No answer, while so much time passes. */
  readonly never?: string;
  /** When it comes, counted from the start; without it, at once. */
  readonly ended?: string;
}

/** Where a case is run. */
export interface CaseStore {
  open(): RunStore;
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /** The write that takes an event that the flow emits. */
  emit(event: CloudEvent): Write;
}

/** How a case is run. */
interface CaseOptions {
  /** Business time at the start, milliseconds. */
  readonly startMs: number;
  /** `name:version` of what flows may call; what has no answer then fails the case. */
  readonly calls: readonly string[];
  /** Functions that are there beside them. */
  readonly primitives?: readonly Primitive[];
}

/** The name of a flow whose case leaves its document out. */
const CASE_FLOW = 'conformance';

/** A signal may be on its way still, or a child: only after so many looks, 2 ms apart, nothing is to come. */
const IDLE_LOOKS_MAX = 200;

/** An engine that runs one case. Nothing sleeps: the clock goes to the next timer as soon as the run waits for nothing else. */
export class FlowCaseRun {
  readonly clock: ManualClock;
  /** What was called, in order. */
  readonly calls: [string, JsonObject][] = [];
  readonly emitted: CloudEvent[] = [];
  /** Steps whose call had no answer in the case. */
  readonly unanswered: { step: string; called: string }[] = [];
  readonly engine: WorkflowEngine;
  readonly store: RunStore;
  readonly #case: FlowCase;
  readonly #at: CaseStore;
  readonly #pending: PendingAnswers;
  readonly #startMs: number;
  readonly #answered = new Map<string, number>();
  #definitions: WorkflowDefinition[] = [];
  readonly #name: string;
  #delivered = 0;
  #idle = 0;

  constructor(each: FlowCase, at: CaseStore, { startMs, calls, primitives = [] }: CaseOptions) {
    this.#case = each;
    this.#at = at;
    const { document } = each.flow;
    this.#name = isObject(document) ? String(document.name) : CASE_FLOW;
    this.clock = new ManualClock(startMs);
    this.#startMs = startMs;
    this.#pending = new PendingAnswers(this.clock);
    this.store = at.open();
    this.engine = new WorkflowEngine({
      store: this.store,
      catalog: catalogOf([
        ...calls.map((called) => this.#mock(called)),
        ...primitives,
        scriptPrimitive(limitsFrom('scriptMs=1500')),
      ]),
      clock: this.clock,
      limits: limitsFrom('runPollMs=20,runParkMs=1,runDrainMs=50,runCancelMs=50'),
      findDefinition: findIn({
        version: async (_, name) => this.#definitions.find((known) => known.name === name),
        versions: async (_, name) => this.#definitions.filter((known) => known.name === name),
      }),
      emit: (event) => {
        this.emitted.push(event);
        return at.emit(event);
      },
    });
  }

  /** Compiles the flows. @throws AiosError `definition.invalid`, `workflow.unsupported` */
  async apply(): Promise<void> {
    const { resources = {}, flow, flows = {} } = this.#case;
    const read = async ({ uri }: { uri: string }) => {
      const found = resources[uri];
      if (found === undefined) throw new AiosError('workflow.resource_unavailable', { detail: uri });
      return typeof found === 'string' ? found : JSON.stringify(found);
    };
    const named = Object.entries({ ...flows, [this.#name]: flow });
    this.#definitions = await Promise.all(named.map(([name, body]) => define(name, body, read)));
    for (const definition of this.#definitions) this.engine.put(definition);
  }

  /** Runs the flow to its end. */
  async run(): Promise<{ run: StoredRun; entries: readonly Entry[]; tookMs: number }> {
    await this.apply();
    await this.engine.begin();
    const startMs = this.clock.now();
    try {
      const run = await this.#end(await this.#start());
      const entries = await this.store.entries(run.id);
      return { run, entries, tookMs: this.clock.now() - startMs };
    } finally {
      await this.engine.stop();
    }
  }

  async #start(): Promise<string> {
    const { event, input = {} } = this.#case;
    if (!event) return (await this.engine.start({ workflow: this.#name, input })).runId;
    const logged = this.#logged(event);
    if (!this.engine.startsOn(this.#name, logged.event)) {
      throw new AiosError('request.invalid', {
        detail: `An event of type ${event.type} does not start the flow.`,
      });
    }
    const after = await this.#at.transaction((tx) => this.engine.startFromEvents([logged], tx));
    after();
    const [run] = await this.store.list({ workflow: this.#name }, undefined, 1);
    return run!.id;
  }

  async #end(runId: string): Promise<StoredRun> {
    for (let look = 0; look < 2_000; look++) {
      const run = await this.store.find(runId);
      if (run?.result) return run;
      if (run?.status === 'waiting' && this.engine.active === 0) {
        this.#idle = (await this.#goOn(runId)) ? 0 : this.#idle + 1;
        if (this.#idle > IDLE_LOOKS_MAX)
          throw new Error(`The run waits in ${run.waitingFor}: no event is left, and no timer is set.`);
      }
      await new Promise((resolve) => (look < 20 ? setImmediate(resolve) : setTimeout(resolve, 2)));
    }
    throw new Error('The run did not end within 4 s.');
  }

  /** The next event is delivered, or the clock goes to the next timer; false when there is neither. */
  async #goOn(runId: string): Promise<boolean> {
    const next = this.#case.events?.[this.#delivered - (this.#case.event ? 1 : 0)];
    const dueMs = await this.store.nextDueMs();
    // Taken up in the meantime: what rings now comes before what is to come.
    if ((await this.store.find(runId))?.status !== 'waiting') return true;
    const atMs = next?.at === undefined ? undefined : this.#startMs + parseDuration(next.at);
    if (next && !(atMs !== undefined && dueMs !== undefined && dueMs <= atMs)) {
      if (atMs !== undefined) this.clock.advanceTo(atMs);
      const logged = this.#logged(next);
      const after = await this.#at.transaction((tx) => this.engine.deliver([logged], tx));
      after();
      return true;
    }
    if (dueMs !== undefined) this.clock.advanceTo(dueMs);
    return dueMs !== undefined;
  }

  #logged({ at: _, ...event }: CaseEvent): LoggedEvent {
    const offset = this.#delivered++;
    const timeMs = this.clock.now();
    const envelope = { specversion: '1.0', id: `e-${offset}`, source: 'urn:test' } as const;
    return {
      event: { ...envelope, time: new Date(timeMs).toISOString(), ...event } as CloudEvent,
      timeMs,
      recordedAtMs: timeMs,
      partition: 0,
      offset,
    };
  }

  #mock(called: string): Primitive {
    const [name = called, version = '1'] = called.split(':');
    return {
      name,
      version: Number(version),
      kind: 'pure',
      inputSchema: { type: 'object' },
      run: async (input, { stepKey }) => {
        this.calls.push([name, input]);
        const answer = this.#answer(stepIdOf(stepKey), name);
        const { output = null, error, never, ended } = answer;
        if (ended !== undefined) await this.#pending.until(this.#startMs + parseDuration(ended));
        if (never !== undefined) {
          setTimeout(() => this.clock.advanceBy(parseDuration(never)), 5);
          return new Promise(() => {});
        }
        if (!error) return { output };
        const standing = { type: 'https://example.com/errors/mock', status: 500, title: 'mock' };
        throw new FlowError({ ...standing, ...error });
      },
    };
  }

  /** The next answer of the step, or of what it calls; the last one stays. */
  #answer(step: string, called: string): Answer {
    const mocks = this.#case.mocks ?? {};
    const key = Object.hasOwn(mocks, step) ? step : called;
    const answers = Object.hasOwn(mocks, key) ? mocks[key]! : [];
    const next = this.#answered.get(key) ?? 0;
    this.#answered.set(key, next + 1);
    const answer = answers[Math.min(next, answers.length - 1)];
    if (answer) return answer;
    this.unanswered.push({ step, called });
    return {
      error: { status: 501, title: 'no mock', detail: `${step} calls ${called}: the case has no answer.` },
    };
  }
}

async function define(name: string, flow: JsonObject, read: ReadResource): Promise<WorkflowDefinition> {
  const document = { dsl: '1.0.3', namespace: 'test', name, version: '1.0.0' };
  const whole = flow.document === undefined ? { document, evaluate: { language: 'cel' }, ...flow } : flow;
  const body = await withResources(whole, read);
  return { name, version: 1, digest: digestOf(body), body };
}
