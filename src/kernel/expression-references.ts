import { Environment } from '@marcbachmann/cel-js';

/** A node of the library's syntax tree: `args` depend on `op`. */
interface SyntaxNode {
  readonly op: string;
  readonly args: unknown;
}

const environment = new Environment({
  unlistedVariablesAreDyn: true,
  homogeneousAggregateLiterals: false,
  enableOptionalTypes: true,
});
/** Macros that bind their first argument to the elements of what they are called on. */
const BINDING = new Set(['map', 'filter', 'all', 'exists', 'exists_one', 'existsOne']);

/** What a name means inside of a macro: a path of the scope around it, or nothing that is known. */
type Bound = ReadonlyMap<string, readonly string[] | undefined>;

/**
 * The paths that a CEL expression reads, each from its variable on, in the order of the text. An element of a list has the path of its list; a member that is
 * only known when the expression runs (`a[b]`) ends the path before it. What does not compile reads nothing.
 *
 * @example referencesOf('data.lines.map(line, line.price)[0] > limit') // [['data', 'lines', 'price'], ['limit']]
 */
export function referencesOf(source: string): string[][] {
  return pathsIn(parse(source));
}

/**
 * What each member of an object that an expression writes out reads; undefined for any other expression.
 *
 * @example referencesOfMembers('{"risk": output.score, "at": now}') // { risk: [['output', 'score']], at: [['now']] }
 */
export function referencesOfMembers(source: string): Record<string, string[][]> | undefined {
  const ast = parse(source);
  if (!isNode(ast) || ast.op !== 'map') return undefined;
  const members = ast.args as [SyntaxNode, unknown][];
  return Object.fromEntries(
    members.filter(([key]) => key.op === 'value').map(([key, value]) => [String(key.args), pathsIn(value)]),
  );
}

function parse(source: string): unknown {
  try {
    return environment.parse(source).ast;
  } catch {
    return undefined; // what does not compile is refused where it is compiled
  }
}

function pathsIn(ast: unknown): string[][] {
  const found = new Map<string, string[]>();
  collect(ast, new Map(), (path) => void found.set(path.join('\0'), [...path]));
  return [...found.values()];
}

type Tell = (path: readonly string[]) => void;

function collect(node: unknown, bound: Bound, tell: Tell): void {
  if (Array.isArray(node)) {
    for (const member of node) collect(member, bound, tell);
    return;
  }
  if (!isNode(node)) return;
  const path = pathOf(node, bound, tell);
  if (path !== undefined) {
    if (path.length > 0) tell(path);
    return;
  }
  if (node.op === 'rcall' && collectMacro(node, bound, tell)) return;
  collect(node.args, bound, tell);
}

/** Of a chain of members: where it begins, and what it names; undefined for any other node. Told on the way: what stands in brackets. */
function pathOf(node: SyntaxNode, bound: Bound, tell: Tell): readonly string[] | undefined {
  if (node.op === 'id') {
    const name = node.args as string;
    return bound.has(name) ? (bound.get(name) ?? []) : [name];
  }
  const args = node.args as unknown[];
  if (node.op === '.' || node.op === '.?') {
    const holder = isNode(args[0]) ? pathOf(args[0], bound, tell) : undefined;
    return holder && (holder.length > 0 ? [...holder, String(args[1])] : []);
  }
  if (node.op === '[]' || node.op === '[?]') {
    const holder = isNode(args[0]) ? pathOf(args[0], bound, tell) : undefined;
    if (!holder) return undefined;
    const index = args[1];
    if (isNode(index) && index.op === 'value')
      return typeof index.args === 'string' ? [...holder, index.args] : holder;
    collect(index, bound, tell);
    return holder;
  }
  return undefined;
}

/** @returns false when the call is no macro that binds a name */
function collectMacro({ args }: SyntaxNode, bound: Bound, tell: Tell): boolean {
  const [name, target, given] = args as [string, unknown, unknown[]];
  const [variable, ...bodies] = given;
  if (!BINDING.has(name) || !isNode(variable) || variable.op !== 'id') return false;
  const path = isNode(target) ? pathOf(target, bound, tell) : undefined;
  if (path === undefined) collect(target, bound, tell);
  else if (path.length > 0) tell(path);
  const inside = new Map(bound).set(variable.args as string, path);
  for (const body of bodies) collect(body, inside, tell);
  return true;
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}
