import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseDuration } from '../../kernel/duration.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { write } from '../../store/lane.ts';
import { START_MS, type StoreFixture } from './engine-conformance-world.ts';
import { type FlowCase, FlowCaseRun } from './flow-case.ts';
import { type RemoteAnswer, RemoteSystems } from './ows-conformance-remote.ts';

/** A case of `conformance/ows`; the README there says what each member means. */
interface Case extends FlowCase {
  remote?: RemoteAnswer[];
  secrets?: { [name: string]: string };
  requests?: JsonObject[];
  output?: Json;
  fails?: JsonObject;
  refused?: { code: string; path: string };
  calls?: [string, JsonObject][];
  emits?: JsonObject[];
  took?: string;
  during?: string;
  started?: string[];
}

const FOLDER = join(import.meta.dirname, '..', '..', '..', 'conformance', 'ows');

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

/** A case and what it is held to. */
class Subject {
  readonly #case: Case;
  readonly #remote: RemoteSystems;
  readonly #run: FlowCaseRun;

  constructor(each: Case, fixture: StoreFixture) {
    const { open, transaction, notes } = fixture;
    this.#case = each;
    this.#remote = new RemoteSystems(each.remote ?? [], each.secrets ?? {}, notes);
    this.#run = new FlowCaseRun(
      each,
      { open, transaction, emit: (event) => write(notes, event.id) },
      { startMs: START_MS, calls: Object.keys(each.mocks ?? {}), primitives: this.#remote.primitives },
    );
  }

  async isRefused({ code, path }: { code: string; path: string }): Promise<void> {
    let refusal: unknown;
    try {
      await this.#run.apply();
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toMatchObject({ code });
    expect((refusal as { issues: { path: string }[] }).issues.map((issue) => issue.path)).toContain(path);
  }

  async runs(): Promise<void> {
    const { output, fails, calls, emits, requests, took } = this.#case;
    const { run, tookMs } = await this.#run.run();
    if (fails) expect(run).toMatchObject({ status: 'failed', result: { error: fails } });
    else {
      expect(run.result?.error).toBeUndefined();
      if (output !== undefined) expect(run.result?.output).toEqual(output);
    }
    if (requests) expect(this.#remote.requests).toMatchObject(requests);
    if (calls) expect(this.#run.calls).toEqual(calls);
    if (emits) expect(this.#run.emitted).toMatchObject(emits);
    if (took) expect(tookMs).toBe(parseDuration(took));
  }

  /** Nobody starts a run: the clock goes from one due time to the next, through the time that is given. */
  async isScheduled(during: string): Promise<void> {
    const { started, calls } = this.#case;
    const untilMs = START_MS + parseDuration(during);
    await this.#run.apply();
    await this.#run.engine.begin();
    try {
      while (this.#run.clock.now() < untilMs) {
        await this.#settled();
        this.#run.clock.advanceTo(Math.min((await this.#run.store.nextDueMs()) ?? untilMs, untilMs));
      }
      await this.#settled();
      const runs = await this.#run.store.list({}, undefined, 1_000);
      const starts = runs.map(({ startedAtMs }) => startedAtMs - START_MS).sort((a, b) => a - b);
      if (started) expect(starts).toEqual(started.map((at) => parseDuration(at)));
      if (calls) expect(this.#run.calls).toEqual(calls);
    } finally {
      await this.#run.engine.stop();
    }
  }

  /** Nothing is due, and every run has ended or waits. */
  async #settled(): Promise<void> {
    for (let look = 0; look < 2_000; look++) {
      const dueMs = (await this.#run.store.nextDueMs()) ?? Number.POSITIVE_INFINITY;
      const { running = 0 } = await this.#run.store.count();
      if (dueMs > this.#run.clock.now() && running === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    throw new Error('What is due was not taken up within 4 s.');
  }
}
