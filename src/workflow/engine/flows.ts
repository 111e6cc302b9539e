import { AiosError } from '../../kernel/errors.ts';
import { isObject, type JsonObject } from '../../kernel/json.ts';
import type { Catalog } from '../catalog/primitive.ts';
import { compileFlow } from '../language/compile.ts';
import { matchesEvent } from '../language/event-filter.ts';
import { type EventFilter, type Flow, type FlowReference, stepsById } from '../language/flow.ts';
import { runJq } from '../language/jq-evaluator.ts';

/** `call: train` or `train:1@default`, wherever it stands: in a branch, a function, what was read from a catalog. */
const TRAINS = /"call":"train[":]/;

/** A version of a workflow definition, as the store of definitions has it. */
export interface WorkflowDefinition {
  readonly name: string;
  /** Given by the store: 1, 2, 3 … */
  readonly version: number;
  readonly digest: string;
  readonly body: JsonObject;
}

export interface LoadedFlow extends WorkflowDefinition {
  readonly flow: Flow;
  /** Whether a step of it trains a model, in whatever branch or function. */
  readonly mayTrain: boolean;
}

/** Finds an old version: the store's own number, that a run is pinned to, or the newest with a version that its document gives. */
export type FindDefinition = (
  name: string,
  version: number | string,
) => Promise<WorkflowDefinition | undefined>;

/** Finds them among the stored definitions of all kinds. */
export function findIn(definitions: {
  version(kind: string, name: string, version: number): Promise<WorkflowDefinition | undefined>;
  /** The newest first. */
  versions(kind: string, name: string): Promise<readonly WorkflowDefinition[]>;
}): FindDefinition {
  return async (name, version) => {
    if (typeof version === 'number') return definitions.version('workflow', name, version);
    return (await definitions.versions('workflow', name)).find((known) => semverOf(known) === version);
  };
}

/** The version that its document gives. */
const semverOf = ({ body }: WorkflowDefinition): unknown =>
  isObject(body.document) ? body.document.version : undefined;

/** The flows in force and, for running runs, the versions they began with: each compiled once. */
export class Flows {
  readonly #catalog: Catalog;
  readonly #find: FindDefinition;
  readonly #latest = new Map<string, LoadedFlow>();
  readonly #versions = new Map<string, LoadedFlow>();
  #starting = new Map<string, LoadedFlow[]>();
  #train = false;

  constructor(catalog: Catalog, find: FindDefinition) {
    this.#catalog = catalog;
    this.#find = find;
  }

  /** Takes a new version: runs that start from now on use it. */
  put(definition: WorkflowDefinition): void {
    const loaded = this.#load(definition);
    this.#latest.set(loaded.name, loaded);
    this.#starting = new Map();
    this.#train = this.all().some(({ mayTrain }) => mayTrain);
    for (const flow of this.#latest.values()) {
      for (const type of new Set(flow.flow.startsOn.map((filter) => filter.type))) {
        this.#starting.set(type, [...(this.#starting.get(type) ?? []), flow]);
      }
    }
  }

  /** @throws AiosError `workflow.not_found` */
  latest(name: string): LoadedFlow {
    const found = this.#latest.get(name);
    if (found) return found;
    throw new AiosError('workflow.not_found', {
      detail: `There is no flow “${name}”; ${[...this.#latest.keys()].join(', ') || 'none'} ${this.#latest.size === 1 ? 'is' : 'are'} applied.`,
    });
  }

  /** The version that a run is pinned to. @throws AiosError `workflow.not_found` */
  async version(name: string, version: number): Promise<LoadedFlow> {
    const known = this.#versions.get(`${name}@${version}`);
    if (known) return known;
    const definition = await this.#find(name, version);
    if (!definition) throw new AiosError('workflow.not_found', { detail: `${name}, version ${version}` });
    return this.#load(definition);
  }

  /**
   * The flow that another one runs: the newest, or the newest with the version of its document that was asked for (specification,
   * `run.workflow.version`).
   *
   * @throws AiosError `workflow.not_found`
   */
  async referred({ name, namespace, version }: FlowReference): Promise<LoadedFlow> {
    const latest = this.latest(name);
    let found: LoadedFlow | undefined = latest;
    if (version !== undefined && latest.flow.semver !== version) {
      const older = await this.#find(name, version);
      found = older && this.#load(older);
    }
    if (found && (namespace ?? found.flow.namespace) === found.flow.namespace) return found;
    const wanted = `${namespace ?? latest.flow.namespace}/${name}, version ${version ?? 'latest'}`;
    throw new AiosError('workflow.not_found', {
      detail: `${wanted} is not applied; the newest is ${latest.flow.namespace}/${name}, version ${latest.flow.semver}.`,
    });
  }

  /** Whether one of those in force may train a model: then who posts an event is kept with it, for who starts a training does not count for its approval. */
  get train(): boolean {
    return this.#train;
  }

  /** Those in force. */
  all(): LoadedFlow[] {
    return [...this.#latest.values()];
  }

  startingOn(type: string): readonly LoadedFlow[] {
    return this.#starting.get(type) ?? [];
  }

  /** How long the runs of a flow are kept, milliseconds, where its newest version says so. */
  retentions(): Map<string, number> {
    const named = [...this.#latest].flatMap(([name, { flow }]) =>
      flow.retentionMs === undefined ? [] : [[name, flow.retentionMs] as const],
    );
    return new Map(named);
  }

  startTypes(): string[] {
    return [...this.#starting.keys()];
  }

  listenTypes(): string[] {
    return [...new Set([...this.#versions.values()].flatMap(({ flow }) => flow.listensFor))];
  }

  #load(definition: WorkflowDefinition): LoadedFlow {
    const key = `${definition.name}@${definition.version}`;
    const known = this.#versions.get(key);
    if (known) return known;
    const flow = compileFlow(definition.body, this.#catalog, runJq);
    const mayTrain = TRAINS.test(JSON.stringify(definition.body));
    const loaded = { ...definition, flow, mayTrain };
    this.#versions.set(key, loaded);
    return loaded;
  }
}

/** Whether an event starts a run: the filters' values have no run to come from, so that they see the event alone. */
export function startsFlow(loaded: LoadedFlow, event: JsonObject): boolean {
  const scope = { event, input: [event] };
  return loaded.flow.startsOn.some((filter) => {
    try {
      const attributes = filter.attributes.map(({ value }) => value(scope));
      const correlate = filter.correlate.flatMap(({ expect }) => (expect ? [expect(scope)] : []));
      return matchesEvent(filter, event, attributes, correlate);
    } catch {
      return false; // an event of another form is not what is meant, and must not hold up those behind it
    }
  });
}

/** The filters of a `listen` step of a run's version. */
export function listenFilters(loaded: LoadedFlow, stepId: string): readonly EventFilter[] {
  const step = stepsById(loaded.flow).get(stepId);
  return step?.type === 'listen' ? [...step.filters, ...(step.until?.filters ?? [])] : [];
}
