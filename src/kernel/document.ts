import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  type Pair,
  parseDocument as parseYaml,
  visit,
} from 'yaml';
import { AiosError, type Issue } from './errors.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { requireDepth } from './json-depth.ts';
import { LIMITS } from './limits.ts';
import { escapePointer, pointerNames, type Validator } from './schema.ts';

/** A YAML or JSON definition as its author wrote it: the value, and where each part of it stands. */
export interface SourceDocument {
  readonly file: string;
  readonly text: string;
  readonly value: JsonObject;
  /** The line and column (from 1) of a JSON Pointer, or of its nearest ancestor that exists. */
  locate(path: string): { line: number; column: number };
}

/**
 * Reads a definition. JSON is YAML 1.2, so one reader serves both.
 *
 * @throws AiosError `definition.syntax` with file, line and column, `request.too_deep`
 * @example readDocument('name: returns', 'workflows/returns.yaml').value // { name: 'returns' }
 */
export function readDocument(text: string, file: string): SourceDocument {
  const lineCounter = new LineCounter();
  const document = parseYaml(text, { lineCounter, prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0) {
    const issues = ownFaults(document.errors).map((error): Issue => {
      const { line, col } = lineCounter.linePos(error.pos[0]);
      return { path: '', message: error.message, file, line, column: col };
    });
    throw new AiosError('definition.syntax', { issues });
  }
  const locate = (path: string) => {
    const { line, col } = lineCounter.linePos(offsetOf(document.contents as Node | null, path));
    return { line, column: col };
  };
  const refused = (issue: Issue) =>
    new AiosError('definition.syntax', { issues: [{ ...issue, file, ...locate(issue.path) }] });
  let value: Json;
  try {
    value = document.toJS({ maxAliasCount: LIMITS.definitionAliasesMax.value }) as Json;
  } catch (error) {
    // An alias (`*name`) without its anchor, or so many that a short text would be a huge value.
    if (!(error instanceof ReferenceError)) throw error;
    const { message, offset } = wrongAlias(document);
    const { line, col } = lineCounter.linePos(offset);
    const issues = [{ path: '', message, file, line, column: col }];
    throw new AiosError('definition.syntax', { issues, cause: error });
  }
  requireDepth(value, LIMITS.jsonDepthMax.value);
  if (!isObject(value)) throw refused({ path: '', message: 'a definition is a mapping', expected: 'object' });
  const foreign = notJson(value, '');
  if (foreign) throw refused(foreign);
  return { file, text, value, locate };
}

/** The errors up to the first that makes the parser lose its place: those after it are only its consequences. */
function ownFaults(errors: Document['errors']): Document['errors'] {
  const inOrder = errors.toSorted((a, b) => a.pos[0] - b.pos[0]);
  const lost = inOrder.findIndex(({ code }) => code !== 'DUPLICATE_KEY');
  return lost === -1 ? inOrder : inOrder.slice(0, lost + 1);
}

/** Which alias the library meant, where it stands, and what is wrong with it: the first without an anchor before it, else the newest of those that stand most often. */
function wrongAlias(document: Document): { message: string; offset: number } {
  const anchors = new Set<string>();
  const uses = new Map<string, number>();
  let most: Alias | undefined;
  let lost: Alias | undefined;
  visit(document, {
    Node(_, node) {
      if (!isAlias(node)) {
        if (isNode(node) && node.anchor) anchors.add(node.anchor);
        return;
      }
      if (!anchors.has(node.source)) lost ??= node;
      const count = (uses.get(node.source) ?? 0) + 1;
      uses.set(node.source, count);
      if (count >= (uses.get(most?.source ?? '') ?? 0)) most = node;
    },
  });
  const { source, range } = (lost ?? most)!;
  const max = LIMITS.definitionAliasesMax.value;
  return {
    offset: range![0],
    message: lost
      ? `the alias *${source} has no anchor &${source} before it`
      : `&${source} stands here too often: itself, its aliases and those inside it are more than ${max} (definitionAliasesMax); write some of them out, or make the definition smaller`,
  };
}

/** YAML knows more than JSON, as which a definition is kept: numbers without an end, bytes, sets, times by their tags. An infinity would be kept as `null`. */
function notJson(value: unknown, path: string): Issue | undefined {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    const message = 'JSON has no such number';
    return { path, message, found: String(value), expected: 'a number in the range ±1.8e308' };
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) {
    const message = 'JSON has no values of this tag';
    return { path, message, found: value.constructor.name, expected: 'a text, a list or a mapping' };
  }
  for (const [name, member] of Object.entries(value)) {
    const issue = notJson(member, `${path}/${escapePointer(name)}`);
    if (issue) return issue;
  }
  return undefined;
}

/**
 * Holds a document to a schema.
 *
 * @throws AiosError `definition.invalid` whose issues carry file, line, path, what was found and what was expected
 */
export function validateDocument(document: SourceDocument, validate: Validator): void {
  const issues = validate(document.value).map((issue) => locateIssue(document, issue));
  if (issues.length > 0) throw new AiosError('definition.invalid', { issues });
}

/** An issue found anywhere in a document, with its place in the file. */
export function locateIssue(document: SourceDocument, issue: Issue): Issue {
  return { ...issue, file: document.file, ...document.locate(issue.path) };
}

function offsetOf(root: Node | null, path: string): number {
  let node: Node | null = root;
  let offset = root?.range?.[0] ?? 0;
  for (const key of pointerNames(path)) {
    if (!isCollection(node)) break;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key) as
        | Pair
        | undefined;
      if (!pair) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value as Node | null;
    } else {
      const item = node.items[Number(key)] as Node | undefined;
      if (!item) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    }
  }
  return offset;
}
