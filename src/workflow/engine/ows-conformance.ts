import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { digestOf } from '../../kernel/canonical.ts';
import { ManualClock } from '../../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../../kernel/cloudevent.ts';
import { parseDuration } from '../../kernel/duration.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { write } from '../../store/group-commit.ts';
import { FlowError } from '../catalog/flow-errors.ts';
import { catalogOf, type Primitive } from '../catalog/primitive.ts';
import { scriptPrimitive } from '../catalog/script.ts';
import { type ReadResource, withResources } from '../language/resources.ts';
import { WorkflowEngine } from './engine.ts';
import { START_MS, type StoreFixture } from './engine-conformance.ts';
import type { WorkflowDefinition } from './flows.ts';
import { type RemoteAnswer, RemoteSystems } from './ows-conformance-remote.ts';
import type { StoredRun } from './run-store.ts';

/** A case of `conformance/ows`; the README there says what each member means. */
interface Case {
  name: string;
  flow: JsonObject;
  flows?: { [name: string]: JsonObject };
  input?: Json;
  mocks?: { [name: string]: Answer[] };
  resources?: { [uri: string]: string | JsonObject };
  remote?: RemoteAnswer[];
  secrets?: { [name: string]: string };
  requests?: JsonObject[];
  events?: (Partial<CloudEvent> & { type: string })[];
  output?: Json;
  fails?: JsonObject;
  refused?: { code: string; path: string };
  calls?: [string, JsonObject][];
  emits?: JsonObject[];
  took?: string;
  during?: string;
  started?: string[];
}

interface Answer {
  output?: Json;
  error?: { type?: string; status?: number; title?: string; detail?: string };
  never?: string;
}

const FOLDER = join(import.meta.dirname, '..', '..', '..', 'conformance', 'ows');
const NAME = 'conformance';

/** The cases of the Open Workflow Specification, on an engine over a store. */
export function owsConformance(store: string, open: () => Promise<StoreFixture>): void {
  describe(`the Open Workflow Specification over ${store}`, () => {
    const fixture = open();
    for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'))) {
      describe(file.slice(0, -'.yaml'.length), () => {
        const cases = parse(readFileSync(join(FOLDER, file), 'utf8')) as Case[];
        it.each(cases.map((each) => [each.name, each] as const))('%s', async (_, each) => {
          const { reset } = await fixture;
          await reset();
          const subject = new Subject(each, await fixture);
          if (each.refused) await subject.isRefused(each.refused);
          else await (each.during ? subject.isScheduled(each.during) : subject.runs());
        });
      });
    }
    it('closes', async () => (await fixture).close());
  });
}

/** An engine that runs one case. */
class Subject {
  readonly #case: Case;
  readonly #clock = new ManualClock(START_MS);
  readonly #calls: [string, JsonObject][] = [];
  readonly #emitted: CloudEvent[] = [];
  readonly #remote: RemoteSystems;
  readonly #flows: [string, JsonObject][];
  #definitions: WorkflowDefinition[] = [];
  readonly #engine: WorkflowEngine;
  readonly #store: ReturnType<StoreFixture['open']>;
  readonly #fixture: StoreFixture;
  #delivered = 0;

  constructor(each: Case, fixture: StoreFixture) {
    this.#case = each;
    this.#fixture = fixture;
    this.#store = fixture.open();
    this.#remote = new RemoteSystems(each.remote ?? [], each.secrets ?? {}, fixture.notes);
    this.#flows = Object.entries({ ...each.flows, [NAME]: each.flow });
    this.#engine = new WorkflowEngine({
      store: this.#store,
      catalog: catalogOf([
        ...Object.entries(each.mocks ?? {}).map(([name, answers]) => this.#mock(name, answers)),
        ...this.#remote.primitives,
        scriptPrimitive(limitsFrom('scriptMs=1500')),
      ]),
      clock: this.#clock,
      limits: limitsFrom('runPollMs=20,runParkMs=1,runDrainMs=50,runCancelMs=50'),
      findDefinition: async (name) => this.#definitions.find((known) => known.name === name),
      emit: (event) => {
        this.#emitted.push(event);
        return write(fixture.notes, event.id);
      },
    });
  }

  async isRefused({ code, path }: { code: string; path: string }): Promise<void> {
    let refusal: unknown;
    try {
      await this.#apply();
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toMatchObject({ code });
    expect((refusal as { issues: { path: string }[] }).issues.map((issue) => issue.path)).toContain(path);
  }

  async runs(): Promise<void> {
    const { input, output, fails, calls, emits, requests, took } = this.#case;
    await this.#apply();
    await this.#engine.begin();
    try {
      const { runId } = await this.#engine.start({ workflow: NAME, input: input ?? {} });
      const run = await this.#end(runId);
      if (fails) expect(run).toMatchObject({ status: 'failed', result: { error: fails } });
      else {
        expect(run.result?.error).toBeUndefined();
        if (output !== undefined) expect(run.result?.output).toEqual(output);
      }
      if (requests) expect(this.#remote.requests).toMatchObject(requests);
      if (calls) expect(this.#calls).toEqual(calls);
      if (emits) expect(this.#emitted).toMatchObject(emits);
      if (took) expect(this.#clock.now() - START_MS).toBe(parseDuration(took));
    } finally {
      await this.#engine.stop();
    }
  }

  /** Nobody starts a run: the clock goes from one due time to the next, through the time that is given. */
  async isScheduled(during: string): Promise<void> {
    const { started, calls } = this.#case;
    const untilMs = START_MS + parseDuration(during);
    await this.#apply();
    await this.#engine.begin();
    try {
      while (this.#clock.now() < untilMs) {
        await this.#settled();
        this.#clock.advanceTo(Math.min((await this.#store.nextDueMs()) ?? untilMs, untilMs));
      }
      await this.#settled();
      const runs = await this.#store.list({}, undefined, 1_000);
      const starts = runs.map(({ startedAtMs }) => startedAtMs - START_MS).sort((a, b) => a - b);
      if (started) expect(starts).toEqual(started.map((at) => parseDuration(at)));
      if (calls) expect(this.#calls).toEqual(calls);
    } finally {
      await this.#engine.stop();
    }
  }

  /** Nothing is due, and every run has ended or waits. */
  async #settled(): Promise<void> {
    for (let look = 0; look < 2_000; look++) {
      const dueMs = (await this.#store.nextDueMs()) ?? Number.POSITIVE_INFINITY;
      const { running = 0 } = await this.#store.count();
      if (dueMs > this.#clock.now() && running === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    throw new Error('What is due was not taken up within 4 s.');
  }

  async #apply(): Promise<void> {
    const { resources = {} } = this.#case;
    const read = async ({ uri }: { uri: string }) => {
      const found = resources[uri];
      if (found === undefined) throw new AiosError('workflow.resource_unavailable', { detail: uri });
      return typeof found === 'string' ? found : JSON.stringify(found);
    };
    this.#definitions = await Promise.all(this.#flows.map(([name, flow]) => define(name, flow, read)));
    for (const definition of this.#definitions) this.#engine.put(definition);
  }

  /** The end of the run: while it waits, the next event is delivered, and then the clock goes to the next timer. */
  async #end(runId: string): Promise<StoredRun> {
    for (let look = 0; look < 2_000; look++) {
      const run = await this.#store.find(runId);
      if (run?.result) return run;
      if (run?.status === 'waiting' && this.#engine.active === 0) await this.#goOn();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    throw new Error('The run did not end within 4 s.');
  }

  async #goOn(): Promise<void> {
    const next = this.#case.events?.[this.#delivered];
    if (next) {
      const after = await this.#fixture.transaction((tx) => this.#engine.deliver([this.#logged(next)], tx));
      after();
      return;
    }
    const dueMs = await this.#store.nextDueMs();
    if (dueMs !== undefined) this.#clock.advanceTo(dueMs);
  }

  #logged(event: Partial<CloudEvent> & { type: string }): LoggedEvent {
    const offset = this.#delivered++;
    const timeMs = this.#clock.now();
    const envelope = { specversion: '1.0', id: `e-${offset}`, source: 'urn:test' } as const;
    return {
      event: { ...envelope, time: new Date(timeMs).toISOString(), ...event } as CloudEvent,
      timeMs,
      recordedAtMs: timeMs,
      partition: 0,
      offset,
    };
  }

  #mock(name: string, answers: readonly Answer[]): Primitive {
    let next = 0;
    return {
      name,
      version: 1,
      kind: 'pure',
      inputSchema: { type: 'object' },
      run: async (input) => {
        this.#calls.push([name, input]);
        const { output = null, error, never } = answers[Math.min(next++, answers.length - 1)] ?? {};
        if (never !== undefined) {
          setTimeout(() => this.#clock.advanceBy(parseDuration(never)), 5);
          return new Promise(() => {});
        }
        if (error)
          throw new FlowError({
            type: 'https://example.com/errors/mock',
            status: 500,
            title: 'mock',
            ...error,
          });
        return { output };
      },
    };
  }
}

async function define(name: string, flow: JsonObject, read: ReadResource): Promise<WorkflowDefinition> {
  const document = { dsl: '1.0.3', namespace: 'test', name, version: '1.0.0' };
  const body = await withResources({ document, evaluate: { language: 'cel' }, ...flow }, read);
  return { name, version: 1, digest: digestOf(body), body };
}
