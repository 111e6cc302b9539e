import {
  isCollection,
  isMap,
  isScalar,
  LineCounter,
  type Node,
  type Pair,
  parseDocument as parseYaml,
} from 'yaml';
import { AiosError, type Issue } from './errors.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { requireDepth } from './json-depth.ts';
import { LIMITS } from './limits.ts';
import { pointerNames, type Validator } from './schema.ts';

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
    const issues = document.errors.map((error): Issue => {
      const { line, col } = lineCounter.linePos(error.pos[0]);
      return { path: '', message: error.message, file, line, column: col };
    });
    throw new AiosError('definition.syntax', { issues });
  }
  const value = document.toJS({ maxAliasCount: 100 }) as Json;
  requireDepth(value, LIMITS.jsonDepthMax.value);
  if (!isObject(value)) {
    const issue: Issue = {
      path: '',
      message: 'a definition is a mapping',
      file,
      line: 1,
      column: 1,
      expected: 'object',
    };
    throw new AiosError('definition.syntax', { issues: [issue] });
  }
  return {
    file,
    text,
    value,
    locate(path) {
      const { line, col } = lineCounter.linePos(offsetOf(document.contents as Node | null, path));
      return { line, column: col };
    },
  };
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
