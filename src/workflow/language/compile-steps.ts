import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { compileSchema, escapePointer, type Validator } from '../../kernel/schema.ts';
import type { Compiler } from './compile.ts';
import { compileCall } from './compile-call.ts';
import { compileListen } from './compile-listen.ts';
import { compileRun } from './compile-run.ts';
import type { ExtensionNode, RetryPolicy, StepNode, SwitchCase, Then, TryNode } from './flow.ts';
import { STEP_MEMBERS, stepSchema } from './language-schema.ts';

/** The most retries of a policy that sets no limit of its own: without one, a step that always fails would never end. */
const RETRIES_MAX = 1000;
const NAME = /^[^/#^[\]]+$/;
const stepValidators = new Map<string, Validator>(
  Object.keys(STEP_MEMBERS).map((type) => [type, compileSchema(stepSchema(type))]),
);

/** The names of a list, so that `then` can be resolved to a place in it. */
type Names = ReadonlyMap<string, number>;

export function compileSteps(
  compiler: Compiler,
  list: readonly JsonObject[],
  path: string,
  prefix: string,
): StepNode[] {
  const names = new Map<string, number>();
  for (const [index, item] of list.entries()) {
    const [name] = Object.keys(item) as [string];
    const at = `${path}/${index}/${escapePointer(name)}`;
    if (names.has(name)) compiler.fault(at, `“${name}” names two steps of one list`);
    if (!NAME.test(name)) compiler.fault(at, `“${name}” cannot name a step`, 'a name without / # ^ [ ]');
    names.set(name, index);
  }
  return list.flatMap((item, index) => {
    const [[name, body]] = Object.entries(item) as [[string, JsonObject]];
    const at = `${path}/${index}/${escapePointer(name)}`;
    return compileStep(compiler, name, body, at, prefix, names) ?? [];
  });
}

function compileStep(
  compiler: Compiler,
  name: string,
  body: JsonObject,
  path: string,
  prefix: string,
  names: Names,
): StepNode | undefined {
  // `for` and `try` hold a `do` or a `catch` too: the first of the list that is there names the kind.
  const type = ['for', 'try', ...stepValidators.keys()].find((kind) => body[kind] !== undefined);
  if (type === undefined) {
    compiler.fault(path, 'a step does one thing', `one of ${[...stepValidators.keys()].join(', ')}`);
    return undefined;
  }
  const issues = stepValidators.get(type)!(body);
  for (const issue of issues) {
    compiler.fault(path + issue.path, issue.message, issue.expected);
  }
  if (issues.length > 0) return undefined;
  const id = prefix + name;
  const kind = compileKind(compiler, type, body, path, id, names);
  if (!kind) return undefined;
  const exported = isObject(body.export) ? body.export : {};
  return {
    name,
    id,
    pointer: path,
    definition: body,
    when: compiler.condition(body.if, `${path}/if`),
    ...compiler.data(body, path),
    exportAs: compiler.bare(exported.as, `${path}/export/as`),
    exportSchema: compiler.schema(exported.schema, `${path}/export/schema`),
    extensions: compileExtensions(compiler, type, path, id),
    timeoutMs: compiler.timeout(body.timeout, `${path}/timeout`),
    next: resolveThen(compiler, body.then, `${path}/then`, names),
    ...kind,
  } as StepNode;
}

export type Kind = Partial<StepNode> & { type: StepNode['type'] };

function compileKind(
  compiler: Compiler,
  type: string,
  body: JsonObject,
  path: string,
  id: string,
  names: Names,
): Kind | undefined {
  const nested = (list: Json | undefined, at: string, under = `${id}/`) =>
    list === undefined ? [] : compileSteps(compiler, list as JsonObject[], `${path}${at}`, under);
  switch (type) {
    case 'call':
      return compileCall(compiler, body, path, {
        asFunction: (name, definition, input) => compileFunction(compiler, name, definition, input, path, id),
        nested,
      });
    case 'set':
      return { type, value: compiler.template(body.set as Json, `${path}/set`) };
    case 'do':
      return { type, steps: nested(body.do, '/do'), with: undefined };
    case 'emit':
      return {
        type,
        event: compiler.template(
          (body.emit as { event: { with: Json } }).event.with,
          `${path}/emit/event/with`,
        ),
      };
    case 'for': {
      const loop = body.for as { each?: string; at?: string; in: Json };
      const source = compiler.bare(loop.in, `${path}/for/in`);
      const [each, at] = compiler.loop(loop.each, loop.at, [`${path}/for/each`, `${path}/for/at`]);
      return {
        type,
        each,
        at,
        in: source ?? (() => []),
        while: compiler.condition(body.while, `${path}/while`),
        steps: nested(body.do, '/do'),
      };
    }
    case 'fork': {
      const { branches, compete = false } = body.fork as { branches: JsonObject[]; compete?: boolean };
      return { type, branches: nested(branches, '/fork/branches'), compete };
    }
    case 'listen':
      return compileListen(compiler, body, path, nested);
    case 'raise':
      return compileRaise(compiler, body, path);
    case 'run':
      return compileRun(compiler, body.run as JsonObject, path);
    case 'switch':
      return { type, cases: compileCases(compiler, body.switch as JsonObject[], path, names) };
    case 'try':
      return compileTry(compiler, body, path, id, names, nested);
    default:
      return { type: 'wait', durationMs: compiler.timeSpan(body.wait, `${path}/wait`) ?? 0 };
  }
}

function resolveThen(compiler: Compiler, then: Json | undefined, path: string, names: Names): Then {
  if (then === undefined || then === 'continue') return 'continue';
  if (then === 'exit' || then === 'end') return then;
  const index = names.get(String(then));
  if (index !== undefined) return { index };
  compiler.fault(
    path,
    `there is no step “${then}” in this list`,
    `continue, exit, end, ${[...names.keys()].join(', ')}`,
  );
  return 'continue';
}

/** A function that is a task of any other kind: done in the place of the call, with `with` as its input. */
function compileFunction(
  compiler: Compiler,
  name: string,
  definition: JsonObject,
  input: JsonObject,
  path: string,
  id: string,
): Kind | undefined {
  const at = `/use/functions/${escapePointer(name)}`;
  if (compiler.inFunctions.has(name)) {
    compiler.fault(at, `the function “${name}” calls itself`, 'a loop, or a flow of its own');
    return undefined;
  }
  compiler.inFunctions.add(name);
  const step = compileStep(compiler, name, definition, at, `${id}/`, new Map());
  compiler.inFunctions.delete(name);
  return { type: 'do', steps: step ? [step] : [], with: compiler.template(input, `${path}/with`) };
}

const EXTENDED = [
  'call',
  'composite',
  'emit',
  'for',
  'listen',
  'raise',
  'run',
  'set',
  'switch',
  'try',
  'wait',
  'all',
];

function compileExtensions(
  compiler: Compiler,
  type: string,
  path: string,
  id: string,
): ExtensionNode[] | undefined {
  const list = isObject(compiler.body.use)
    ? (compiler.body.use.extensions as JsonObject[] | undefined)
    : undefined;
  if (!list || path.startsWith('/use/extensions/')) return undefined;
  const kind = type === 'do' || type === 'fork' ? 'composite' : type;
  const found = list.flatMap((item, index) => {
    const [[name, extension]] = Object.entries(item) as [[string, JsonObject]];
    const at = `/use/extensions/${index}/${escapePointer(name)}`;
    const { extend, before, after } = extension;
    if (!EXTENDED.includes(String(extend))) {
      compiler.unsupported(`${at}/extend`, `extensions of “${extend}” are not run`, EXTENDED.join(', '));
    }
    if (extend !== 'all' && extend !== kind) return [];
    const steps = (of: Json | undefined, where: string) =>
      of === undefined
        ? []
        : compileSteps(compiler, of as JsonObject[], `${at}/${where}`, `${id}^${where}/${name}/`);
    return {
      name,
      when: compiler.condition(extension.when, `${at}/when`),
      before: steps(before, 'before'),
      after: steps(after, 'after'),
    };
  });
  return found.length > 0 ? found : undefined;
}

function compileRaise(compiler: Compiler, body: JsonObject, path: string): Kind {
  const { error } = body.raise as { error: Json };
  const at = `${path}/raise/error`;
  const found = typeof error === 'string' ? compiler.used('errors', error, at) : error;
  if (isObject(found) && (found.type === undefined || found.status === undefined)) {
    compiler.fault(at, 'an error has a type and a status', 'type, status');
  }
  return { type: 'raise', error: compiler.template(found ?? null, at) };
}

function compileCases(
  compiler: Compiler,
  cases: readonly JsonObject[],
  path: string,
  names: Names,
): SwitchCase[] {
  let fallback: string | undefined;
  return cases.map((item, index) => {
    const [[name, body]] = Object.entries(item) as [[string, JsonObject]];
    const at = `${path}/switch/${index}/${escapePointer(name)}`;
    if (body.when === undefined && fallback !== undefined) {
      compiler.fault(at, `“${fallback}” is the default already`, 'a condition: when');
    }
    if (body.when === undefined) fallback ??= name;
    return {
      name,
      when: compiler.condition(body.when, `${at}/when`),
      next: resolveThen(compiler, body.then, `${at}/then`, names),
    };
  });
}

function compileTry(
  compiler: Compiler,
  body: JsonObject,
  path: string,
  id: string,
  names: Names,
  nested: (list: Json | undefined, at: string, under?: string) => StepNode[],
): Kind & TryNode {
  const handler = body.catch as JsonObject;
  const at = `${path}/catch`;
  const filter = isObject(handler.errors) && isObject(handler.errors.with) ? handler.errors.with : undefined;
  return {
    type: 'try',
    steps: nested(body.try, '/try'),
    filter,
    as: compiler.variable(handler.as, 'error', `${at}/as`),
    catchWhen: compiler.condition(handler.when, `${at}/when`),
    catchExceptWhen: compiler.condition(handler.exceptWhen, `${at}/exceptWhen`),
    retry: handler.retry === undefined ? undefined : compileRetry(compiler, handler.retry, `${at}/retry`),
    catchSteps: nested(handler.do, '/catch/do', `${id}^catch/`),
    catchNext:
      handler.then === undefined ? undefined : resolveThen(compiler, handler.then, `${at}/then`, names),
  };
}

function compileRetry(compiler: Compiler, value: Json, path: string): RetryPolicy | undefined {
  const policy = typeof value === 'string' ? compiler.used('retries', value, path) : (value as JsonObject);
  if (!policy) return undefined;
  const backoff = (policy.backoff ?? {}) as { linear?: JsonObject; exponential?: JsonObject };
  const limit = (policy.limit ?? {}) as { attempt?: JsonObject; duration?: Json };
  const jitter = policy.jitter as JsonObject | undefined;
  const delayMs = compiler.duration(policy.delay, `${path}/delay`) ?? 0;
  return {
    when: compiler.condition(policy.when, `${path}/when`),
    exceptWhen: compiler.condition(policy.exceptWhen, `${path}/exceptWhen`),
    delayMs,
    backoff: backoff.exponential ? 'exponential' : backoff.linear ? 'linear' : 'constant',
    incrementMs: compiler.duration(backoff.linear?.increment, `${path}/backoff/linear/increment`) ?? delayMs,
    multiplier: Number(backoff.exponential?.multiplier ?? 2),
    attemptsMax: Math.min(RETRIES_MAX, Number(limit.attempt?.count ?? RETRIES_MAX)),
    attemptMs: compiler.duration(limit.attempt?.duration, `${path}/limit/attempt/duration`),
    durationMs: compiler.duration(limit.duration, `${path}/limit/duration`),
    jitterMs: jitter && [
      compiler.duration(jitter.from, `${path}/jitter/from`) ?? 0,
      compiler.duration(jitter.to, `${path}/jitter/to`) ?? 0,
    ],
  };
}
