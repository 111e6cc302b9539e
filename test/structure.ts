import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';

export const FILE_LINES_MAX = 400;
export const FUNCTION_LINES_MAX = 70;

const GROUND = ['kernel', 'store'];
export const STATIONS = [
  'events',
  'contracts',
  'features',
  'models',
  'decisions',
  'tasks',
  'connectors',
  'ledger',
  'access',
  'monitoring',
  'telemetry',
];

/** The rooms of the workflow module, in the order in which a definition becomes a run. */
export const WORKFLOW = ['workflow/catalog', 'workflow/language', 'workflow/interpreter', 'workflow/engine'];

/** The rooms of the serving station, in the order in which a model comes to answer. */
export const SERVING = [
  'serving/tensors',
  'serving/runtimes',
  'serving/hosting',
  'serving/traffic',
  'serving/protocol',
  'serving/chat',
];

/** Which folders of src/ a folder may import, besides itself. The table of ARCHITECTURE.md says the same. */
export const DIRECTION: Record<string, readonly string[]> = {
  kernel: [],
  store: ['kernel'],
  ...Object.fromEntries(STATIONS.map((station) => [station, GROUND])),
  'events/bridges/port': [...GROUND, 'events'],
  'events/bridges/messages': [...GROUND, 'events', 'events/bridges/port'],
  'events/bridges/definition': [...GROUND, 'events', 'events/bridges/port'],
  'events/bridges/sharing': [...GROUND, 'events'],
  'events/bridges/running': [
    ...GROUND,
    'events',
    ...['port', 'messages', 'definition', 'sharing'].map((room) => `events/bridges/${room}`),
  ],
  'events/bridges/protocols': [...GROUND, 'events', 'events/bridges/port', 'events/bridges/messages'],
  'workflow/catalog': GROUND,
  'workflow/language': [...GROUND, 'workflow/catalog'],
  'workflow/interpreter': [...GROUND, 'workflow/catalog', 'workflow/language'],
  'workflow/engine': [...GROUND, 'workflow/catalog', 'workflow/language', 'workflow/interpreter'],
  'serving/tensors': GROUND,
  'serving/runtimes': [...GROUND, 'serving/tensors', 'serving/protocol'],
  'serving/hosting': [...GROUND, 'serving/tensors', 'serving/runtimes'],
  'serving/traffic': [...GROUND, 'serving/tensors', 'serving/runtimes', 'serving/hosting'],
  'serving/protocol': [...GROUND, 'serving/tensors'],
  'serving/chat': GROUND,
  api: [...GROUND, ...STATIONS, 'events/bridges/running', ...SERVING, ...WORKFLOW],
  client: ['kernel'],
  cli: ['kernel', 'client'],
  testing: GROUND,
};
const MODULES = Object.keys(DIRECTION);
/** The composition root, which nothing but the process imports: its rooms, and what they may import. */
export const COMPOSITION: Record<string, readonly string[]> = {
  'app/stations': MODULES,
  app: [...MODULES, 'app/stations'],
};
/** `src/main.ts`. */
const PROCESS = /^src\/[^/]+$/;
/** Calls to the bare global would go around the egress guard (src/connectors) or the typed client. */
const FETCH_FOLDERS = ['connectors', 'client'];

export interface SourceFile {
  /** Relative to the repository, with slashes. */
  path: string;
  text: string;
}

interface Parsed {
  imports: string[];
  /** Those that are there at run time as soon as this file is: no types, nothing that is loaded later. */
  loaded: string[];
  functions: { name: string; lines: number; line: number }[];
  fetches: number[];
}

/** Every fault of the tree against the rules; none when it holds. */
export function checkStructure(files: readonly SourceFile[]): string[] {
  const faults: string[] = [];
  const edges = new Map<string, Set<string>>();
  const loading = new Map<string, Set<string>>();
  for (const { path, text } of files) {
    const lines = text.split('\n').length - 1;
    if (lines > FILE_LINES_MAX) faults.push(`${path}: ${lines} lines, at most ${FILE_LINES_MAX}`);
    const { imports, loaded, functions, fetches } = parse(path, text);
    loading.set(path, new Set(loaded.flatMap((specifier) => resolveImport(path, specifier) ?? [])));
    for (const { name, lines: length, line } of functions) {
      if (length > FUNCTION_LINES_MAX)
        faults.push(`${path}:${line}: ${name} has ${length} lines, at most ${FUNCTION_LINES_MAX}`);
    }
    const folder = moduleOf(path);
    if (!folder || isTest(path)) continue;
    const allowed = DIRECTION[folder] ?? COMPOSITION[folder];
    for (const line of FETCH_FOLDERS.includes(folder) ? [] : fetches) {
      faults.push(`${path}:${line}: bare fetch goes around the egress guard; use a connector or the client`);
    }
    for (const target of imports.map((specifier) => resolveImport(path, specifier))) {
      const to = target && moduleOf(target);
      if (target && PROCESS.test(target)) faults.push(`${path}: imports the process, ${target}`);
      if (!to || to === folder) continue;
      edges.set(folder, (edges.get(folder) ?? new Set()).add(to));
      if (!allowed?.includes(to)) faults.push(`${path}: ${folder} must not import ${to}`);
    }
    if (!allowed) faults.push(`${path}: ${folder} is not in the direction table`);
  }
  const cycle = findCycle(edges);
  if (cycle) faults.push(`import cycle between folders: ${cycle.join(' → ')}`);
  const circle = findCycle(loading);
  if (circle) faults.push(`files that load each other: ${circle.join(' → ')}`);
  return [...new Set(faults)];
}

/** Tests, and what only tests load: a module put together for them, a suite that every adapter must pass. */
function isTest(path: string): boolean {
  return /(\.(test|suite)|-under-test|-conformance(-\w+)?)\.tsx?$/.test(path);
}

function moduleOf(path: string): string | undefined {
  return /^src\/((?:app|workflow|serving|events\/bridges)\/[^/]+|[^/]+)\//.exec(path)?.[1];
}

function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return join(from, '..', specifier).replaceAll('\\', '/');
}

function parse(path: string, text: string): Parsed {
  const { program, module, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const specifiers = [
    ...module.staticImports.map((entry) => entry.moduleRequest.value),
    ...module.staticExports.flatMap((entry) => entry.entries.map((item) => item.moduleRequest?.value)),
    ...module.dynamicImports.map((entry) =>
      text.slice(entry.moduleRequest.start + 1, entry.moduleRequest.end - 1),
    ),
  ];
  const loads = (entries: readonly { isType: boolean }[]) =>
    entries.length === 0 || entries.some(({ isType }) => !isType);
  const parsed: Parsed = {
    imports: specifiers.filter((value) => value !== undefined),
    loaded: [
      ...module.staticImports
        .filter(({ entries }) => loads(entries))
        .map(({ moduleRequest }) => moduleRequest.value),
      ...module.staticExports.flatMap(({ entries }) =>
        entries.flatMap(({ isType, moduleRequest }) =>
          isType || !moduleRequest ? [] : [moduleRequest.value],
        ),
      ),
    ],
    functions: [],
    fetches: [],
  };
  const lineOf = lineCounter(text);
  const measure = (node: { start: number; end: number; id?: { name: string } | null }) => {
    const line = lineOf(node.start);
    parsed.functions.push({ name: node.id?.name ?? 'a function', line, lines: lineOf(node.end) - line + 1 });
  };
  new Visitor({
    FunctionDeclaration: measure,
    FunctionExpression: measure,
    // A test file's `describe` callback is a list of tests, not a function to be read at once.
    ArrowFunctionExpression: (node) => !isTest(path) && measure(node),
    CallExpression: (node) => {
      if (node.callee.type === 'Identifier' && node.callee.name === 'fetch')
        parsed.fetches.push(lineOf(node.start));
    },
  }).visit(program);
  return parsed;
}

function lineCounter(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

function findCycle(edges: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const done = new Set<string>();
  const walk = (node: string, trail: string[]): string[] | undefined => {
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of edges.get(node) ?? []) {
      const cycle = walk(next, [...trail, node]);
      if (cycle) return cycle;
    }
    done.add(node);
    return undefined;
  };
  for (const node of edges.keys()) {
    const cycle = walk(node, []);
    if (cycle) return cycle;
  }
  return undefined;
}

/** The TypeScript of the repository. */
export function readSources(root: string, folders: readonly string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !/generated/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !/node_modules|[\\/]dist[\\/]/.test(path))
      .map((path) => ({
        path: relative(root, path).replaceAll('\\', '/'),
        text: readFileSync(path, 'utf8'),
      })),
  );
}
