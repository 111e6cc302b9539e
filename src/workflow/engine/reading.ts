import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { FlowErrorBody } from '../catalog/flow-errors.ts';
import { type StepNode, stepIdOf, stepsById, withoutAttempts } from '../language/flow.ts';
import { type FlowGraph, flowGraph } from '../language/graph.ts';
import { mermaidOf } from '../language/mermaid.ts';
import { attributesToJson } from './attributes.ts';
import type { Flows, LoadedFlow } from './flows.ts';
import type { OpenRuns, RunAttempt } from './operation-store.ts';
import { EDITED } from './recorder.ts';
import type { RunStore } from './run-store.ts';
import {
  ENDED,
  type Entry,
  type ListedRun,
  type PayloadRef,
  type RunFilters,
  type StoredRun,
} from './stored-run.ts';

/** One step of a run, as far as it has come. */
export interface StepView {
  key: string;
  /** The id of the node in the graph. */
  id: string;
  name: string;
  kind: 'pure' | 'costly' | 'effect' | 'wait' | 'flow';
  primitive?: string;
  status: 'waiting' | 'completed' | 'failed' | 'canceled';
  /** Business time, milliseconds. */
  startedAtMs: number;
  /** Milliseconds, to a hundredth: measured for work, of business time for waits. */
  durationMs?: number;
  attempts: number;
  input?: Json;
  output?: Json;
  /** Instead of them, when they are large: read by `payload`. */
  inputRef?: PayloadRef;
  outputRef?: PayloadRef;
  error?: FlowErrorBody;
  /** An operator gave it its input when the run went back to it. */
  edited?: true;
  /** The case that a `switch` took. */
  choice?: string;
}

/** An event that a run listened for; `atMs` is when it was taken, business time. */
interface TakenView {
  readonly atMs: number;
  readonly event: JsonObject;
}

export interface RunDetail extends StoredRun {
  readonly digest: string;
  /** The attempts before the present one. */
  readonly attempts: readonly RunAttempt[];
  /** Ids of the runs that were forked from it, the newest first. */
  readonly forks: readonly string[];
  readonly attributes: JsonObject;
  readonly steps: readonly StepView[];
  /** The events that its `listen` steps took, in the order in which they were taken. */
  readonly events: readonly TakenView[];
  readonly graph: FlowGraph;
}

export interface RunPage {
  readonly items: readonly ListedRun[];
  readonly nextCursor: string | undefined;
}

/** A version of a flow with the runs that are still on it. */
export interface VersionInUse {
  readonly version: number;
  /** New runs take it. */
  readonly current: boolean;
  readonly runs: number;
  /** Where they stand, by status and what they wait for. */
  readonly stands: readonly OpenRuns[];
  /** The group of the one that began first. */
  readonly oldest: OpenRuns | undefined;
}

/** The key of what tells that a step waits: what it opened, or from when a `wait` counts. */
const BEGUN = /^(.*)\^(open|from)$/;
/** The key of an event that a step took. */
const TAKEN = /\^e\d+$/;
/** As many forks are named with a run. */
const FORKS_MAX = 50;

/** Runs as people look at them: read from the store, never from the memory of a worker. */
export class RunReader {
  readonly #store: RunStore;
  readonly #flows: Flows;

  constructor(store: RunStore, flows: Flows) {
    this.#store = store;
    this.#flows = flows;
  }

  async exists(runId: string): Promise<boolean> {
    return (await this.#store.find(runId)) !== undefined;
  }

  /** A run with its steps; with `attempt` as it was at the end of an earlier one. @throws AiosError `workflow.run_not_found` */
  async get(runId: string, attempt?: number): Promise<RunDetail> {
    const { operations } = this.#store;
    const now = await this.#store.find(runId);
    if (!now) throw new AiosError('workflow.run_not_found', { detail: runId });
    const attempts = now.attempt > 1 ? await operations.attempts(runId) : [];
    const earlier = attempts.find((each) => each.attempt === attempt);
    if (attempt !== undefined && attempt !== now.attempt && !earlier)
      throw new AiosError('workflow.run_not_found', { detail: `${runId}, attempt ${attempt}` });
    const [entries, loaded, forks, attributes] = await Promise.all([
      earlier ? operations.journal(runId, attempt) : this.#store.entries(runId),
      this.#flows.version(now.workflow, now.version),
      operations.forksOf(runId, FORKS_MAX),
      this.attributesOf([runId]),
    ]);
    const run = earlier ? asItWas(now, earlier) : now;
    return {
      ...run,
      attempts,
      forks,
      attributes: attributes.get(runId) ?? {},
      digest: loaded.digest,
      steps: stepsOf(entries, loaded, run),
      events: takenOf(entries),
      graph: flowGraph(loaded.flow),
    };
  }

  /**
   * Which versions of a flow still have runs that have not ended, the newest first: a run stays on the version that it began with. The version in force
   * is always among them.
   *
   * @throws AiosError `workflow.not_found`
   */
  async versions(workflow: string): Promise<VersionInUse[]> {
    const { version: current } = this.#flows.latest(workflow);
    const open = await this.#store.operations.openRuns(workflow);
    const byVersion = Map.groupBy(open, ({ version }) => version);
    if (!byVersion.has(current)) byVersion.set(current, []);
    return [...byVersion]
      .sort(([a], [b]) => b - a)
      .map(([version, stands]) => {
        const oldest = stands.toSorted((a, b) => a.oldestStartedAtMs - b.oldestStartedAtMs)[0];
        const runs = stands.reduce((sum, { runs }) => sum + runs, 0);
        return { version, current: version === current, runs, stands, oldest };
      });
  }

  /** What runs are found by, as people see it. */
  async attributesOf(runIds: readonly string[]): Promise<ReadonlyMap<string, JsonObject>> {
    const found = await this.#store.operations.attributesOf(runIds);
    return new Map([...found].map(([id, attributes]) => [id, attributesToJson(attributes)]));
  }

  /** A large value of a run's steps. @throws AiosError `workflow.payload_missing` */
  async payload(runId: string, digest: string): Promise<Json> {
    const value = await this.#store.payload(runId, digest);
    if (value === undefined) throw new AiosError('workflow.payload_missing', { detail: digest });
    return value;
  }

  /** A version of a flow, the newest when left out, as a picture, and as a Mermaid flowchart. @throws AiosError `workflow.not_found` */
  async graph(workflow: string, version?: number): Promise<{ graph: FlowGraph; mermaid: string }> {
    const found =
      version === undefined ? this.#flows.latest(workflow) : this.#flows.version(workflow, version);
    const graph = flowGraph((await found).flow);
    return { graph, mermaid: mermaidOf(graph) };
  }

  /** The newest first; `cursor` is the id of the last one seen. */
  async list(filters: RunFilters = {}, cursor?: string, limit = 50): Promise<RunPage> {
    const runs = await this.#store.list(filters, cursor, limit + 1);
    const items = runs.slice(0, limit);
    return { items, nextCursor: runs.length > limit ? items.at(-1)?.id : undefined };
  }

  /** How many runs there are of each status. */
  count(): Promise<{ [status: string]: number }> {
    return this.#store.count();
  }
}

function asItWas(run: StoredRun, { attempt, status, result, input, endedAtMs }: RunAttempt): StoredRun {
  const origin = { ...run.origin, input };
  return {
    ...run,
    attempt,
    status,
    result,
    origin,
    updatedAtMs: endedAtMs,
    wakeAtMs: null,
    waitingFor: null,
  };
}

/** An event that fits several filters, or is heard by several steps, is one. */
function takenOf(entries: readonly Entry[]): TakenView[] {
  const taken = new Map<string, TakenView>();
  for (const { k, s = 0, o } of entries) {
    if (!TAKEN.test(k) || !isObject(o) || typeof o.place !== 'string' || !isObject(o.event)) continue;
    if (!taken.has(o.place)) taken.set(o.place, { atMs: s, event: o.event });
  }
  return [...taken.values()];
}

/** The steps that a journal tells of, in the order in which they began. */
function stepsOf(entries: readonly Entry[], loaded: LoadedFlow, run: Pick<StoredRun, 'status'>): StepView[] {
  const nodes = stepsById(loaded.flow);
  const views = new Map<string, StepView>();
  const attempts = new Map<string, number>();
  const edited = new Set(
    entries.flatMap(({ k }) => (k.endsWith(EDITED) ? [k.slice(0, -EDITED.length)] : [])),
  );
  for (const entry of entries) {
    const [, key = entry.k, mark] = BEGUN.exec(entry.k) ?? [];
    const opened = mark !== undefined;
    const node = nodes.get(stepIdOf(key));
    const startedAtMs = mark === 'from' && node?.type === 'wait' ? entry.n : entry.s;
    // Other keys with ^ are the interpreter's own: times asked for, delays, races.
    if (!node || startedAtMs === undefined) continue;
    const view = viewOf(key, node, { ...entry, s: startedAtMs }, opened && ENDED.has(run.status));
    if (opened) view.status = ENDED.has(run.status) ? 'canceled' : 'waiting';
    if (edited.has(key)) view.edited = true;
    const base = withoutAttempts(key);
    if (!views.has(key)) attempts.set(base, (attempts.get(base) ?? 0) + 1);
    view.attempts = attempts.get(base)!;
    views.set(key, { ...views.get(key), ...view });
  }
  return [...views.values()].sort((a, b) => a.startedAtMs - b.startedAtMs);
}

function viewOf(key: string, node: StepNode, entry: Entry, canceled: boolean): StepView {
  const view: StepView = {
    key,
    id: node.id,
    name: node.name,
    kind: kindOf(node),
    status: entry.e ? 'failed' : canceled ? 'canceled' : 'completed',
    startedAtMs: entry.s!,
    attempts: 1,
  };
  if (node.type === 'call') view.primitive = node.primitive.name;
  if (entry.d !== undefined) view.durationMs = entry.d;
  if (entry.i !== undefined) view.input = entry.i;
  if (entry.o !== undefined) view.output = entry.o;
  if (entry.ir) view.inputRef = entry.ir;
  if (entry.or) view.outputRef = entry.or;
  if (entry.e) view.error = entry.e;
  if (entry.c) view.choice = entry.c;
  if (isObject(entry.o) && node.type === 'call' && node.primitive.kind === 'wait' && entry.n !== undefined) {
    view.input = entry.o;
    delete view.output;
  }
  return view;
}

function kindOf(node: StepNode): StepView['kind'] {
  if (node.type === 'call') return node.primitive.kind;
  if (node.type === 'wait' || node.type === 'listen' || node.type === 'run') return 'wait';
  return node.type === 'emit' ? 'pure' : 'flow';
}
