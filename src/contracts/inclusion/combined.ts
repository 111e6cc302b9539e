import { isObject, type JsonObject } from '../../kernel/json.ts';
import type { Refused } from './finding.ts';
import type { Checker } from './inclusion.ts';
import { propertyOf } from './members.ts';
import type { SchemaNode } from './node.ts';
import { type Conjunction, gather, type Shape, schemaNode, settle, type ValueType } from './shape.ts';

const LISTED_MAX = 16; // cases that a listed property is taken apart into

/** `anyOf`, `oneOf`, `if` of a reader. */
export function compareAlternatives(checker: Checker, shape: Shape, reader: SchemaNode): Refused[] {
  const schema = reader.schema as JsonObject;
  const found: Refused[] = [];
  for (const keyword of ['anyOf', 'oneOf'] as const) {
    if (!Array.isArray(schema[keyword])) continue;
    const branches = schema[keyword].map((_, index) => reader.document.child(reader, keyword, index));
    found.push(...compareBranches(checker, shape, reader, keyword, branches));
  }
  if (schema.if === undefined) return found;
  const { conjunction } = shape;
  const condition = reader.document.child(reader, 'if');
  const where = and(conjunction, condition);
  if (schema.then !== undefined && !checker.isNever(where))
    found.push(...checker.include(where, reader.document.child(reader, 'then')));
  if (schema.else !== undefined && checker.include(conjunction, condition).length > 0) {
    const otherwise = { ...conjunction, negative: [...conjunction.negative, condition] };
    found.push(...checker.include(otherwise, reader.document.child(reader, 'else')));
  }
  return found;
}

function compareBranches(
  checker: Checker,
  shape: Shape,
  reader: SchemaNode,
  keyword: 'anyOf' | 'oneOf',
  branches: readonly SchemaNode[],
): Refused[] {
  const { conjunction } = shape;
  const results = branches.map((branch) => ({ branch, found: checker.directly(conjunction, branch) }));
  const fitting = results.filter(({ found }) => found.length === 0);
  const sum = (message: string): Refused[] => [
    { code: 'SUM_TYPE_NARROWED', reader, writer: shape.nodes[0], keyword, message },
  ];
  if (keyword === 'anyOf' && fitting.length > 0) return [];
  if (keyword === 'oneOf' && fitting.length > 0) {
    const isAlone = fitting.some(({ branch }) =>
      branches.every((other) => other === branch || isExcluded(checker, shape, other)),
    );
    return isAlone ? [] : sum('a value may fit several of the alternatives, of which exactly one must hold');
  }
  // With alternatives of its own the writer is looked at case by case next, and that tells more.
  if (shape.alternatives.some(({ cases }) => !isTaken(conjunction, cases)))
    return sum('no alternative covers what was allowed');
  const possible = results.filter(({ branch }) => !isExcluded(checker, shape, branch));
  if (possible.length === 1) return possible[0]!.found;
  return sum('no alternative covers what was allowed');
}

function isExcluded(checker: Checker, { conjunction, negative }: Shape, node: SchemaNode): boolean {
  return checker.isNever(and(conjunction, node)) || negative.some((other) => checker.covers(node, other));
}

/** `not` of a reader: nothing of the writer may fit it. */
export function compareNegation(checker: Checker, shape: Shape, reader: SchemaNode): Refused[] {
  if ((reader.schema as JsonObject).not === undefined) return [];
  const excluded = reader.document.child(reader, 'not');
  if (isExcluded(checker, shape, excluded)) return [];
  const message = 'what `not` describes is refused, and may have been allowed';
  return [{ code: 'NOT_TYPE_EXTENDED', reader, writer: shape.nodes[0], keyword: 'not', message }];
}

/** Cases that together are the whole; `isOwn` when the writer's schema itself makes them. */
interface Split {
  readonly cases: readonly Conjunction[];
  readonly isOwn: boolean;
}

/** True when one of the cases is part of a conjunction already: to look at them again adds nothing. */
export function isTaken(conjunction: Conjunction, cases: readonly Conjunction[]): boolean {
  return cases.some(
    ({ positive, negative }) =>
      positive.every((node) => conjunction.positive.includes(node)) &&
      negative.every((node) => conjunction.negative.includes(node)),
  );
}

/**
 * Ways to take a writer apart: by its own alternatives, by type, by the values of a required property. Below the first split one way will do: the
 * cases are taken apart further by themselves.
 */
export function* splits(shape: Shape, isFirst: boolean): Generator<Split> {
  const { conjunction } = shape;
  const open = shape.alternatives.filter(({ cases }) => !isTaken(conjunction, cases));
  for (const { cases } of isFirst ? open : open.slice(0, 1)) {
    yield {
      cases: cases.map((one) => ({
        positive: [...conjunction.positive, ...one.positive],
        negative: [...conjunction.negative, ...one.negative],
      })),
      isOwn: true,
    };
  }
  if (open.length > 0) return;
  const types = typeNames(shape.types);
  if (types.length > 1)
    yield { cases: types.map((type) => and(conjunction, schemaNode({ type }))), isOwn: false };
  if (types.length !== 1 || types[0] !== 'object') return;
  for (const name of shape.required) {
    const property = gather(propertyOf(shape, name));
    settle(property);
    const { values } = property;
    if (!values || values.length < 2 || values.length > LISTED_MAX) continue;
    const cases = values.map((value) =>
      and(conjunction, schemaNode({ properties: { [name]: { const: value } } })),
    );
    yield { cases, isOwn: false };
  }
}

function typeNames(types: ReadonlySet<ValueType>): string[] {
  const isNumber = types.has('fraction');
  return [...types].flatMap((type) =>
    type === 'fraction' ? ['number'] : type === 'integer' && isNumber ? [] : [type],
  );
}

function and(conjunction: Conjunction, node: SchemaNode): Conjunction {
  if (isObject(node.schema) && conjunction.positive.includes(node)) return conjunction;
  return { ...conjunction, positive: [...conjunction.positive, node] };
}
