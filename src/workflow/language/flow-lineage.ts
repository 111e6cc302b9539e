import {
  type DefinitionLineage,
  type FindBody,
  fieldId,
  LineageBuilder,
  nodeId,
  textsIn,
} from '../../kernel/definition-lineage.ts';
import { referencesOf, referencesOfMembers } from '../../kernel/expression-references.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';

/** Where a value of a flow comes from: nodes, each told as a whole or by a member of it. */
type Origins = readonly string[];

/**
 * What a flow reads, calls and emits. Of CEL, what each input of a decision and each member of an emitted event is made of is followed through the context; of
 * jq, the fields of the event that any expression names.
 *
 * @example flowLineage(body, find).edges // [{ from: 'service-feature:return-risk.units_held', to: 'decision-input:return-policy.units_held' }, …]
 */
export function flowLineage(body: JsonObject, find: FindBody): DefinitionLineage {
  return new FlowReader(body, find).read();
}

const NUMBERED = /^([a-z][a-z-]*):\d+@/;
const JQ_FIELD = /\bevent\.data((?:\.[A-Za-z_]\w*)+)/g;
const WHOLE_EXPRESSION = /^\s*\$\{(.+)\}\s*$/s;
const EXPRESSION = /\$\{([^{}]*)\}/g;

class FlowReader {
  readonly #builder = new LineageBuilder();
  readonly #body: JsonObject;
  readonly #find: FindBody;
  readonly #id: string;
  readonly #startTypes: string[];
  readonly #isCel: boolean;
  /** Members of the context, and whence each comes. */
  readonly #context = new Map<string, Origins>();
  /** Feature services that the flow asks, models that it gives named features. */
  readonly #services = new Set<string>();
  readonly #scored = new Set<string>();
  /** Where the output of the step before comes from. */
  #output: Origins = [];

  constructor(body: JsonObject, find: FindBody) {
    this.#body = body;
    this.#find = find;
    const document = isObject(body.document) ? body.document : {};
    this.#id = nodeId('workflow', String(document.name));
    this.#isCel = isObject(body.evaluate) && body.evaluate.language === 'cel';
    this.#startTypes = isObject(body.schedule) ? eventTypes(body.schedule.on) : [];
  }

  read(): DefinitionLineage {
    const { document, ...meaning } = this.#body;
    this.#builder.node({ id: this.#id, meaning });
    const queue = at(document, 'metadata', 'aios', 'queue', 'name');
    if (typeof queue === 'string') this.#uses(nodeId('run-queue', queue));
    for (const type of this.#startTypes) this.#uses(nodeId('event-type', type));
    this.#steps(this.#body.do);
    this.#steps(
      isObject(this.#body.use)
        ? Object.entries(this.#body.use.functions ?? {}).map(([k, v]) => ({ [k]: v }))
        : [],
    );
    for (const path of this.#paths(this.#body))
      if (path[0] === 'event' || path[0] === 'context')
        for (const origin of this.#originsOf(path)) this.#uses(origin);
    this.#features();
    return this.#builder.done();
  }

  #uses(id: string): void {
    this.#builder.edge(id, this.#id);
  }

  #steps(steps: Json | undefined): void {
    for (const entry of Array.isArray(steps) ? steps : [])
      if (isObject(entry)) for (const step of Object.values(entry)) if (isObject(step)) this.#step(step);
  }

  #step(step: JsonObject): void {
    const input = this.#output;
    if (typeof step.call === 'string')
      this.#output = this.#call(step.call, isObject(step.with) ? step.with : {});
    if (isObject(step.emit)) this.#emit(at(step.emit, 'event', 'with'));
    const child = at(step, 'run', 'workflow', 'name');
    if (typeof child === 'string') {
      this.#output = [nodeId('workflow', child)];
      this.#uses(nodeId('workflow', child));
    }
    if (isObject(step.listen))
      for (const type of eventTypes(step.listen.to)) this.#uses(nodeId('event-type', type));
    if (isObject(step.for)) this.#steps(step.do);
    for (const nested of [step.do, step.try, at(step, 'catch', 'do'), at(step, 'foreach', 'do')]) {
      if (nested !== undefined && !isObject(step.for)) this.#steps(nested);
    }
    const branches = at(step, 'fork', 'branches');
    for (const branch of Array.isArray(branches) ? branches : []) this.#steps([branch]);
    this.#export(at(step, 'export', 'as'));
    const as = at(step, 'output', 'as');
    if (typeof as === 'string') this.#output = this.#originsIn(as);
    else if (step.switch !== undefined || step.emit !== undefined || step.wait !== undefined)
      this.#output = input;
  }

  /** @returns where the answer comes from */
  #call(call: string, given: JsonObject): Origins {
    const name = NUMBERED.exec(call)?.[1] ?? call;
    const text = (member: string) => (typeof given[member] === 'string' ? given[member] : undefined);
    const [service, model, decision, connector, queue] = [
      'service',
      'model',
      'decision',
      'connector',
      'queue',
    ].map(text);
    let id: string | undefined;
    if (name === 'features' && service) {
      this.#services.add(service);
      id = nodeId('feature-service', service);
    } else if (['infer', 'chat', 'embed'].includes(name) && model) {
      if (given.features !== undefined) this.#scored.add(model);
      id = nodeId('model', model);
      const ref = given.ref;
      if (ref !== undefined && /^\d+$/.test(String(ref)))
        this.#uses(nodeId('model', `${model}@${String(ref)}`));
    } else if (name === 'decide' && decision) {
      for (const [input, value] of Object.entries(isObject(given.input) ? given.input : {}))
        this.#flows(value, nodeId('decision-input', `${decision}.${input}`));
      id = nodeId('decision', decision);
    } else if (name === 'connector' && connector) {
      id = nodeId('operation', `${connector}.${String(given.operation)}`);
      this.#builder.edge(nodeId('connector', connector), id);
    } else if (name === 'human-task' && queue) id = nodeId('queue', queue);
    else if (!NUMBERED.test(call)) return this.#output;
    id ??= nodeId('function', name);
    this.#uses(id);
    return [id];
  }

  /** A value of the flow becomes a column of something else. */
  #flows(value: Json | undefined, column: string): void {
    for (const path of this.#paths(value))
      for (const origin of this.#originsOf(path)) this.#builder.edge(origin, column);
  }

  #emit(event: Json | undefined): void {
    if (!isObject(event) || typeof event.type !== 'string') return;
    const { type, data } = event;
    this.#builder.edge(this.#id, nodeId('event-type', type));
    for (const [member, value] of Object.entries(isObject(data) ? data : {}))
      this.#flows(value, nodeId('field', type, member));
  }

  #export(as: Json | undefined): void {
    if (isObject(as))
      for (const [member, value] of Object.entries(as)) this.#context.set(member, this.#originsIn(value));
    if (typeof as !== 'string' || !this.#isCel) return;
    const members = referencesOfMembers(expressionsIn(as)[0]!);
    const before = new Map(this.#context);
    for (const [member, paths] of Object.entries(members ?? {}))
      this.#context.set(
        member,
        paths.flatMap((path) => this.#originsOf(path, before)),
      );
    if (!members) this.#context.set('', this.#originsIn(as));
  }

  #originsIn(value: Json): Origins {
    return [...new Set(this.#paths(value).flatMap((path) => [...this.#originsOf(path)]))];
  }

  /** Paths that the expressions of a value read. */
  #paths(value: Json | undefined): string[][] {
    return [...textsIn(value)].flatMap((text) => {
      if (!this.#isCel)
        return [...text.matchAll(JQ_FIELD)].map(([, path]) => [
          'event',
          'data',
          ...path!.split('.').slice(1),
        ]);
      return expressionsIn(text).flatMap(referencesOf);
    });
  }

  #originsOf(path: readonly string[], context: ReadonlyMap<string, Origins> = this.#context): Origins {
    const [root, ...rest] = path;
    if (root === 'event' && rest.length > 0)
      return this.#startTypes.map((type) => fieldId(type, rest[0] === 'data' ? rest : rest.slice(0, 1)));
    if (root === 'output' || root === 'input')
      return this.#output.map((origin) => this.#member(origin, rest));
    if (root !== 'context') return [];
    const [member = '', ...inner] = rest;
    const origins = context.get(member);
    return origins
      ? origins.map((origin) => this.#member(origin, inner))
      : (context.get('') ?? []).map((origin) => this.#member(origin, rest));
  }

  /** A member of what a node gives: a value of a service is a node of its own, as is an output of a table. */
  #member(origin: string, path: readonly string[]): string {
    const [kind, name] = [origin.slice(0, origin.indexOf(':')), origin.slice(origin.indexOf(':') + 1)];
    const [first, second] = path;
    if (kind === 'feature-service' && first !== undefined)
      return nodeId('service-feature', `${name}.${first}`);
    if (kind === 'decision' && first === 'output' && second !== undefined)
      return nodeId('decision-output', `${name}.${second}`);
    return origin;
  }

  /** The values of its services that a model takes by name. */
  #features(): void {
    for (const model of this.#scored) {
      const named = at(this.#find('model', model), 'signature', 'features');
      for (const service of this.#services) {
        const body = this.#find('feature-service', service);
        if (!body) continue;
        const answered = Array.isArray(body.features) ? new Set(body.features) : undefined;
        for (const feature of Array.isArray(named) ? named : [])
          if (!answered || answered.has(feature))
            this.#builder.edge(
              nodeId('service-feature', `${service}.${String(feature)}`),
              nodeId('model', model),
            );
      }
    }
  }
}

/** The expressions of a text: all of it where none is marked. */
function expressionsIn(text: string): string[] {
  const whole = WHOLE_EXPRESSION.exec(text)?.[1];
  if (whole !== undefined && !whole.includes('${')) return [whole.trim()];
  const marked = [...text.matchAll(EXPRESSION)].map(([, source]) => source!.trim());
  return marked.length > 0 ? marked : [text.trim()];
}

function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>(
    (found, member) => (isObject(found) ? found[member] : undefined),
    value,
  );
}

/** The types that a consumption strategy (`one`, `any`, `all`) waits for. */
function eventTypes(strategy: Json | undefined): string[] {
  if (!isObject(strategy)) return [];
  return [strategy.one, strategy.any, strategy.all]
    .flatMap((filters) => filters ?? [])
    .map((filter) => at(filter, 'with', 'type'))
    .filter((type) => typeof type === 'string');
}
