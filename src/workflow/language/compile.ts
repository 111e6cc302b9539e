import { readDocument } from '../../kernel/document.ts';
import { type DurationParts, parseDuration } from '../../kernel/duration.ts';
import type { ErrorCode } from '../../kernel/error-codes.ts';
import { AiosError, type Issue } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { compileSchema, escapePointer, type Validator } from '../../kernel/schema.ts';
import type { Catalog } from '../catalog/primitive.ts';
import { celLanguage } from './cel.ts';
import { compileAttributes, compileLifecycle, compileRetention } from './compile-metadata.ts';
import { compileQueue } from './compile-queue.ts';
import { checkAuthentications, checkSecretNames } from './compile-secrets.ts';
import { compileSteps } from './compile-steps.ts';
import { patternOf } from './event-filter.ts';
import { ANY_TYPE, type ConsumptionMode, type EventFilter, type Flow, type TimeSpan } from './flow.ts';
import { jqLanguage, type RunJq } from './jq.ts';
import { keptResource, type Resource, uriOf, withoutResources } from './kept-resources.ts';
import { workflowSchema } from './language-schema.ts';
import { readSchedule, type Schedule } from './schedule.ts';
import { ARGUMENTS, isStatic, type Scope, type Template, Templates } from './templates.ts';

/** `any: []`. */
const EVERY_EVENT: EventFilter = { type: ANY_TYPE, data: undefined, attributes: [], correlate: [] };
/** What both languages of expressions take for the name of a variable. */
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Members that name variables, by the member that holds them. */
const NAMING: { readonly [holder: string]: readonly string[] } = {
  for: ['each', 'at'],
  foreach: ['item', 'at'],
  catch: ['as'],
};
const validateDocument = compileSchema(workflowSchema);

/**
 * Compiles a flow's definition, once per version. All faults are found, not only the first.
 *
 * @throws AiosError `definition.invalid`, or `workflow.unsupported` when all that is wrong is that AIOS does not run it; the issues carry paths
 * @example compileFlow(readDocument(text, 'workflows/returns.yaml').value, catalog, runJq)
 */
export function compileFlow(body: JsonObject, catalog: Catalog, runJq: RunJq): Flow {
  const issues = validateDocument(body);
  if (issues.length > 0) throw new AiosError('definition.invalid', { issues });
  const compiler = new Compiler(body, catalog, runJq);
  const flow = compiler.flow();
  compiler.throwFaults();
  return flow;
}

/** What the parts of a compilation share: the definition, the faults found so far, and how to compile what may be wrong. */
export class Compiler {
  readonly body: JsonObject;
  readonly catalog: Catalog;
  readonly listensFor = new Set<string>();
  /** Functions of `use.functions` that are being compiled. */
  readonly inFunctions = new Set<string>();
  readonly #names: Set<string>;
  readonly #templates: Templates;
  /** Of expressions that see the attributes of an event as variables, whatever it has. */
  readonly #ofEvents: Templates;
  readonly #faults: { code: ErrorCode; issue: Issue }[] = [];

  constructor(body: JsonObject, catalog: Catalog, runJq: RunJq) {
    this.body = body;
    this.catalog = catalog;
    const { language, mode } = isObject(body.evaluate) ? body.evaluate : ({} as JsonObject);
    this.#names = namesOf(body);
    const chosen = language === 'cel' ? celLanguage(this.#names) : jqLanguage(runJq, this.#names);
    this.#templates = new Templates(chosen, mode === 'loose');
    this.#ofEvents = language === 'cel' ? new Templates(celLanguage(), mode === 'loose') : this.#templates;
  }

  /** Takes note of the variables that a function of a catalog names: it is compiled with the flow. */
  learnNames(definition: JsonObject): void {
    for (const name of namesOf(definition)) this.#names.add(name);
  }

  flow(): Flow {
    const { body } = this;
    const document = body.document as JsonObject;
    const metadata =
      isObject(document.metadata) && isObject(document.metadata.aios) ? document.metadata.aios : {};
    const { subject, outcome, attributes, retention, queue } = metadata;
    this.#checkEvaluate();
    this.#checkUse();
    return {
      name: document.name as string,
      namespace: document.namespace as string,
      semver: document.version as string,
      definition: withoutResources(body),
      ...this.data(body, ''),
      timeoutMs: this.timeout(body.timeout, '/timeout'),
      startsOn: this.#startsOn(),
      schedule: this.#schedule(metadata.schedule),
      lifecycle: compileLifecycle(this, metadata.lifecycle),
      subject: this.bare(subject, '/document/metadata/aios/subject'),
      outcome: this.bare(outcome, '/document/metadata/aios/outcome'),
      attributes: compileAttributes(this, attributes),
      retentionMs: compileRetention(this, retention),
      timesSteps: /task\??\.\??startedAt/.test(JSON.stringify(body)),
      queue: compileQueue(this, queue),
      steps: compileSteps(this, body.do as JsonObject[], '/do', ''),
      listensFor: [...this.listensFor],
    };
  }

  fault(path: string, message: string, expected?: string, code: ErrorCode = 'definition.invalid'): void {
    // An extension is compiled for each step that it extends: its faults are told once.
    if (this.#faults.some(({ issue }) => issue.path === path && issue.message === message)) return;
    this.#faults.push({
      code,
      issue: expected === undefined ? { path, message } : { path, message, expected },
    });
  }

  unsupported(path: string, message: string, expected: string): void {
    this.fault(path, message, expected, 'workflow.unsupported');
  }

  /** @throws AiosError when faults were found; `workflow.unsupported` only when there is no other */
  throwFaults(): void {
    if (this.#faults.length === 0) return;
    const allUnsupported = this.#faults.every(({ code }) => code === 'workflow.unsupported');
    throw new AiosError(allUnsupported ? 'workflow.unsupported' : 'definition.invalid', {
      issues: this.#faults.map(({ issue }) => issue),
    });
  }

  /** Runs a compilation whose error becomes a fault at this path. */
  try<T>(path: string, compile: () => T): T | undefined {
    try {
      return compile();
    } catch (error) {
      if (!(error instanceof AiosError)) throw error;
      this.fault(path, error.message);
      return undefined;
    }
  }

  bare(source: Json | undefined, path: string, templates = this.#templates): Template | undefined {
    if (source === undefined) return undefined;
    if (typeof source !== 'string') return this.template(source, path, templates);
    return this.try(path, () => templates.bare(source));
  }

  condition(source: Json | undefined, path: string): ((scope: Scope) => boolean) | undefined {
    return source === undefined ? undefined : this.try(path, () => this.#templates.condition(String(source)));
  }

  /** Whether a value holds no expression. */
  isStatic(value: Json): boolean {
    return this.#templates.isStatic(value);
  }

  template(value: Json, path: string, templates = this.#templates): Template {
    if (typeof value === 'object' && value !== null && !this.isStatic(value)) {
      // Member by member, so that a fault names the member.
      const members = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
      for (const [key, member] of members)
        this.template(member, `${path}/${escapePointer(String(key))}`, templates);
      return this.#faults.length > 0 ? () => null : templates.value(value);
    }
    return this.try(path, () => templates.value(value)) ?? (() => null);
  }

  /** The name of a variable that the flow gives: one of every expression would be hidden by it, or hide it. */
  variable(given: Json | undefined, standard: string, path: string): string {
    const name = String(given ?? standard);
    if (ARGUMENTS.includes(name)) this.fault(path, `“${name}” is a variable already`, 'a name of its own');
    else if (!VARIABLE.test(name)) {
      this.fault(path, `“${name}” is no name of a variable`, 'letters, digits and _, not a digit first');
    }
    return name;
  }

  /** The variables of a loop. */
  loop(item: Json | undefined, at: Json | undefined, [itemPath, atPath]: [string, string]): [string, string] {
    const names: [string, string] = [
      this.variable(item, 'item', itemPath),
      this.variable(at, 'index', atPath),
    ];
    if (names[0] === names[1]) this.fault(atPath, `“${names[1]}” is the item already`, 'a name of its own');
    return names;
  }

  schema(schema: Json | undefined, path: string): Validator | undefined {
    if (!isObject(schema)) return undefined;
    if (schema.format !== undefined && !/^json(?::|$)/.test(String(schema.format)))
      this.unsupported(`${path}/format`, `schemas of “${schema.format}” are not checked`, 'json');
    if (schema.document !== undefined)
      return this.try(`${path}/document`, () => compileSchema(schema.document as JsonObject));
    const { endpoint } = isObject(schema.resource) ? schema.resource : {};
    const at = `${path}/resource/endpoint`;
    const found = this.resource(uriOf(endpoint), at);
    if (!found || !('text' in found)) return undefined;
    return this.try(at, () => compileSchema(readDocument(found.text, uriOf(endpoint)).value));
  }

  duration(value: Json | undefined, path: string): number | undefined {
    if (value === undefined) return undefined;
    return this.try(path, () => parseDuration(value as string | DurationParts));
  }

  /** A duration that may be an expression: what it gives is a duration in ISO 8601. It throws `expression.failed` for anything else. */
  timeSpan(value: Json | undefined, path: string): TimeSpan | undefined {
    if (typeof value !== 'string' || this.isStatic(value)) return this.duration(value, path);
    const template = this.template(value, path);
    return (scope) => {
      const given = template(scope);
      try {
        return parseDuration(given as string | DurationParts);
      } catch (error) {
        throw new AiosError('expression.failed', { detail: `${path}: ${(error as Error).message}` });
      }
    };
  }

  /** `timeout` given in place, or by its name in `use.timeouts`. */
  timeout(value: Json | undefined, path: string): TimeSpan | undefined {
    if (value === undefined) return undefined;
    const found = typeof value === 'string' ? this.used('timeouts', value, path) : value;
    return isObject(found) ? this.timeSpan(found.after, `${path}/after`) : undefined;
  }

  /** What was read when the flow was applied. */
  resource(key: string, path: string): Resource | undefined {
    const found = keptResource(this.body, key);
    if (!found)
      this.unsupported(path, `“${key}” was not read`, 'an address or a file of the project, applied with it');
    return found;
  }

  /** What `use.<kind>` defines under a name. */
  used(kind: string, name: string, path: string): JsonObject | undefined {
    const of = isObject(this.body.use) ? this.body.use[kind] : undefined;
    const found = isObject(of) && Object.hasOwn(of, name) ? of[name] : undefined;
    if (isObject(found)) return found;
    const known = isObject(of) ? Object.keys(of).join(', ') : '';
    this.fault(path, `use.${kind} does not define “${name}”`, known || 'nothing is defined there');
    return undefined;
  }

  /** `input`, `output`: the data that enters and leaves a flow or a step. */
  data(of: JsonObject, path: string) {
    const input = isObject(of.input) ? of.input : {};
    const output = isObject(of.output) ? of.output : {};
    return {
      inputSchema: this.schema(input.schema, `${path}/input/schema`),
      inputFrom: this.bare(input.from, `${path}/input/from`),
      outputAs: this.bare(output.as, `${path}/output/as`),
      outputSchema: this.schema(output.schema, `${path}/output/schema`),
    };
  }

  filters(consumption: JsonObject, path: string): { mode: ConsumptionMode; filters: EventFilter[] } {
    const mode = consumption.one ? 'one' : consumption.any ? 'any' : 'all';
    const list = mode === 'one' ? [consumption.one] : (consumption[mode] as Json[]);
    const filters = list.map((filter, index) =>
      this.#filter(filter as JsonObject, mode === 'one' ? `${path}/one` : `${path}/${mode}/${index}`),
    );
    if (filters.length === 0) filters.push(EVERY_EVENT);
    return { mode, filters };
  }

  #filter(filter: JsonObject, path: string): EventFilter {
    const { type: named = ANY_TYPE, data, ...others } = filter.with as JsonObject;
    // Subscriptions are found by the type: one that is a pattern is looked at for every event.
    const patterned = typeof named === 'string' && named !== ANY_TYPE && patternOf(named) !== undefined;
    const type = patterned ? ANY_TYPE : named;
    const attributes: JsonObject = patterned ? { type: named, ...others } : others;
    if (typeof type !== 'string' || !isStatic(type)) {
      this.unsupported(
        `${path}/with/type`,
        'the type of an event filter is not an expression',
        'the event type',
      );
    }
    const correlate = (filter.correlate ?? {}) as { [name: string]: { from: string; expect?: string } };
    return {
      type: String(type),
      data: data === undefined ? undefined : this.template(data, `${path}/with/data`, this.#ofEvents),
      attributes: Object.entries(attributes).map(([name, value]) => ({
        name,
        value: this.template(value, `${path}/with/${escapePointer(name)}`),
        pattern: typeof value === 'string' ? patternOf(value) : undefined,
      })),
      correlate: Object.entries(correlate).map(([name, { from, expect }]) => {
        const at = `${path}/correlate/${escapePointer(name)}`;
        return {
          name,
          from: this.bare(from, `${at}/from`, this.#ofEvents) ?? (() => null),
          expect: expect === undefined ? undefined : this.template(expect, `${at}/expect`),
        };
      }),
    };
  }

  #schedule(options: Json | undefined): Schedule | undefined {
    const schedule = isObject(this.body.schedule) ? this.body.schedule : {};
    return readSchedule(schedule, options, (...fault) => this.fault(...fault));
  }

  #startsOn(): EventFilter[] {
    const schedule = this.body.schedule;
    if (!isObject(schedule)) return [];
    if (!isObject(schedule.on)) return [];
    const { mode, filters } = this.filters(schedule.on, '/schedule/on');
    if (mode === 'all' && filters.length > 1) {
      this.unsupported(
        '/schedule/on/all',
        'a run starts from one event',
        'one or any, and listen for the others',
      );
    }
    if (filters.some(({ type }) => type === ANY_TYPE)) {
      this.unsupported('/schedule/on', 'a run starts from events of types that are named', 'with: { type }');
    }
    return filters;
  }

  #checkEvaluate(): void {
    const evaluate = isObject(this.body.evaluate) ? this.body.evaluate : {};
    const { language = 'jq' } = evaluate;
    if (language !== 'cel' && language !== 'jq') {
      this.unsupported(
        '/evaluate/language',
        `expressions in “${language}” are not run`,
        'jq (the default) or cel',
      );
    }
  }

  #checkUse(): void {
    const use = isObject(this.body.use) ? this.body.use : {};
    checkSecretNames(this, use.secrets);
    checkAuthentications(this, use.authentications);
    for (const [name, catalog] of Object.entries(isObject(use.catalogs) ? use.catalogs : {}))
      if (!isObject(catalog) || catalog.endpoint === undefined)
        this.fault(`/use/catalogs/${escapePointer(name)}`, 'a catalog has an address', 'endpoint');
  }
}

/** Names that a flow gives to variables: those of loops, and the caught error's. */
function namesOf(body: Json): Set<string> {
  const names = new Set(['item', 'index', 'error']);
  const visit = (value: Json): void => {
    if (Array.isArray(value)) for (const item of value) visit(item);
    if (!isObject(value)) return;
    for (const [key, member] of Object.entries(value)) {
      const given =
        isObject(member) && Object.hasOwn(NAMING, key) ? NAMING[key]!.map((of) => member[of]) : [];
      for (const name of given) if (typeof name === 'string') names.add(name);
      visit(member);
    }
  };
  visit(body);
  return names;
}
