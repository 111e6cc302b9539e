import type { JsonObject } from '../../kernel/json.ts';
import { requiredBeside, schemasBeside } from './dependencies.ts';
import type { FindingCode, Refused } from './finding.ts';
import type { Checker } from './inclusion.ts';
import { knownNames, knownPatterns, matches, namesOf, patternOf, propertyOf, restOf } from './members.ts';
import { objectAt, type SchemaNode } from './node.ts';
import type { Say } from './scalars.ts';
import { type Conjunction, gather, type Shape, schemaNode } from './shape.ts';

/** Where objects of a writer fall out of what a reader takes. */
export function compareObjects(checker: Checker, shape: Shape, reader: SchemaNode, say: Say): Refused[] {
  if (!shape.types.has('object')) return [];
  const schema = reader.schema as JsonObject;
  const required = Array.isArray(schema.required) ? (schema.required as string[]) : [];
  for (const name of required)
    if (!shape.required.has(name))
      say('REQUIRED_ATTRIBUTE_ADDED', 'required', `objects without “${name}” are refused`);
  compareCounts(checker, shape, schema, say);
  compareDependencies(checker, shape, reader, say);
  return [
    ...compareProperties(checker, shape, reader),
    ...comparePatterns(checker, shape, reader),
    ...compareOthers(checker, shape, reader),
    ...compareNames(checker, shape, reader, say),
    ...compareDependentSchemas(checker, shape, reader),
  ];
}

function compareProperties(checker: Checker, shape: Shape, reader: SchemaNode): Refused[] {
  return Object.keys(objectAt(reader.schema, 'properties')).flatMap((name) => {
    const property = propertyOf(shape, name);
    if (checker.isLenient && !property.isDeclared && !shape.required.has(name)) return [];
    const child = reader.document.child(reader, 'properties', name);
    const found = checker.member(property, child);
    if (found.length === 0 || isNamed(shape, name)) return found;
    const code: FindingCode =
      property.positive.length > 0
        ? 'PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL'
        : 'PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL';
    const message = `“${name}” may have held anything else before, as an undeclared property, and would be refused`;
    return [{ code, reader: child, writer: shape.nodes[0], keyword: '', message }];
  });
}

function isNamed(shape: Shape, name: string): boolean {
  return shape.nodes.some(({ schema }) => Object.hasOwn(objectAt(schema, 'properties'), name));
}

function comparePatterns(checker: Checker, shape: Shape, reader: SchemaNode): Refused[] {
  return Object.keys(objectAt(reader.schema, 'patternProperties')).flatMap((pattern) => {
    const child = reader.document.child(reader, 'patternProperties', pattern);
    const written = knownPatterns(shape);
    const names = [...knownNames(shape)].filter((name) => matches(pattern, name));
    const found = names.flatMap((name) => checker.member(propertyOf(shape, name), child));
    const classes: Conjunction[] = [...written].map((other) => patternOf(shape, other));
    if (!written.has(pattern)) classes.push(restOf(shape));
    if (classes.every((one) => checker.member(one, child).length === 0)) return found;
    const message = `properties whose names match ${pattern} may be refused`;
    const code = 'PATTERN_PROPERTIES_NARROWED' as const;
    return [...found, { code, reader: child, writer: shape.nodes[0], keyword: '', message }];
  });
}

/** The properties that neither `properties` nor `patternProperties` of the reader name. */
function compareOthers(checker: Checker, shape: Shape, reader: SchemaNode): Refused[] {
  const schema = reader.schema as JsonObject;
  const keyword =
    schema.additionalProperties === undefined ? 'unevaluatedProperties' : 'additionalProperties';
  if (schema[keyword] === undefined || schema[keyword] === true) return [];
  const evaluated = { names: new Set<string>(), patterns: new Set<string>(), isAll: false };
  if (keyword === 'additionalProperties') addNames(reader, evaluated);
  else evaluate(checker, shape, reader, evaluated, true);
  if (evaluated.isAll) return [];
  const child = reader.document.child(reader, keyword);
  const isOther = (name: string) =>
    !evaluated.names.has(name) && ![...evaluated.patterns].some((pattern) => matches(pattern, name));
  const found = [...knownNames(shape)].filter(isOther).flatMap((name): Refused[] => {
    const property = propertyOf(shape, name);
    if (checker.member(property, child).length === 0) return [];
    const code =
      child.schema === false
        ? 'PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL'
        : 'ADDITIONAL_PROPERTIES_NARROWED';
    const message =
      child.schema === false
        ? `objects with “${name}” are refused`
        : `“${name}” is held to the schema of other properties`;
    return [{ code, reader: child, writer: property.positive[0] ?? shape.nodes[0], keyword: '', message }];
  });
  const patterns = [...knownPatterns(shape)].filter((pattern) => !evaluated.patterns.has(pattern));
  const classes = [...patterns.map((pattern) => patternOf(shape, pattern)), restOf(shape)];
  if (classes.some((one) => checker.member(one, child).length > 0)) {
    const code: FindingCode =
      keyword === 'unevaluatedProperties'
        ? 'UNEVALUATED_PROPERTIES_NARROWED'
        : child.schema === false
          ? 'ADDITIONAL_PROPERTIES_REMOVED'
          : 'ADDITIONAL_PROPERTIES_NARROWED';
    found.push({
      code,
      reader: child,
      writer: shape.nodes[0],
      keyword: '',
      message: 'other properties are refused',
    });
  }
  return found;
}

interface Evaluated {
  names: Set<string>;
  patterns: Set<string>;
  isAll: boolean;
}

/** What is evaluated for certain, so that `unevaluatedProperties` is not asked about it. */
function evaluate(checker: Checker, shape: Shape, node: SchemaNode, found: Evaluated, isOwner = false): void {
  const { schema, document } = node;
  if (typeof schema === 'boolean' || found.isAll) return;
  addNames(node, found);
  if (schema.additionalProperties !== undefined || (!isOwner && schema.unevaluatedProperties !== undefined))
    found.isAll = true;
  const writer = shape.conjunction;
  const enter = (child: SchemaNode) => checker.deeper(() => evaluate(checker, shape, child, found));
  const target = typeof schema.$ref === 'string' ? document.resolve(schema.$ref) : undefined;
  if (target) enter(target);
  if (Array.isArray(schema.allOf))
    for (const index of schema.allOf.keys()) enter(document.child(node, 'allOf', index));
  for (const keyword of ['anyOf', 'oneOf']) {
    if (!Array.isArray(schema[keyword])) continue;
    for (const index of schema[keyword].keys()) {
      const branch = document.child(node, keyword, index);
      if (checker.include(writer, branch).length === 0) enter(branch);
    }
  }
  if (schema.if === undefined) return;
  const condition = document.child(node, 'if');
  if (checker.include(writer, condition).length === 0) {
    enter(condition);
    if (schema.then !== undefined) enter(document.child(node, 'then'));
  } else if (
    schema.else !== undefined &&
    checker.isNever({ ...writer, positive: [...writer.positive, condition] })
  )
    enter(document.child(node, 'else'));
}

function addNames({ schema }: SchemaNode, found: Evaluated): void {
  for (const name of Object.keys(objectAt(schema, 'properties'))) found.names.add(name);
  for (const pattern of Object.keys(objectAt(schema, 'patternProperties'))) found.patterns.add(pattern);
}

function compareNames(checker: Checker, shape: Shape, reader: SchemaNode, say: Say): Refused[] {
  const { propertyNames } = reader.schema as JsonObject;
  if (propertyNames === undefined || propertyNames === true) return [];
  const child = reader.document.child(reader, 'propertyNames');
  for (const name of knownNames(shape)) {
    if (!reader.document.refusal(child, name) || checker.isNever(propertyOf(shape, name))) continue;
    say('PROPERTY_NAMES_NARROWED', 'propertyNames', `objects with “${name}” are refused`);
  }
  const classes = [...[...knownPatterns(shape)].map((pattern) => patternOf(shape, pattern)), restOf(shape)];
  if (classes.every((one) => checker.isNever(one))) return [];
  if (checker.include(namesOf(shape), child).length > 0)
    say('PROPERTY_NAMES_NARROWED', 'propertyNames', 'names of properties may be refused');
  return [];
}

function compareCounts(checker: Checker, shape: Shape, schema: JsonObject, say: Say): void {
  const { minProperties, maxProperties } = schema;
  if (typeof minProperties === 'number' && shape.minProperties < minProperties)
    say(
      'MIN_PROPERTIES_INCREASED',
      'minProperties',
      `objects of less than ${minProperties} properties are refused`,
    );
  if (typeof maxProperties !== 'number' || shape.maxProperties <= maxProperties) return;
  const classes = [...[...knownPatterns(shape)].map((pattern) => patternOf(shape, pattern)), restOf(shape)];
  const names = [...knownNames(shape)].filter((name) => !checker.isNever(propertyOf(shape, name)));
  if (names.length <= maxProperties && classes.every((one) => checker.isNever(one))) return;
  say(
    'MAX_PROPERTIES_DECREASED',
    'maxProperties',
    `objects of more than ${maxProperties} properties are refused`,
  );
}

/** The writer's objects that have a property. */
function withProperty({ conjunction }: Shape, name: string): Conjunction {
  return {
    ...conjunction,
    positive: [...conjunction.positive, schemaNode({ type: 'object', required: [name] })],
  };
}

function isAbsent(checker: Checker, shape: Shape, name: string): boolean {
  const property = propertyOf(shape, name);
  if (checker.isLenient && !property.isDeclared && !shape.required.has(name)) return true;
  return checker.isNever(property);
}

function compareDependencies(checker: Checker, shape: Shape, reader: SchemaNode, say: Say): void {
  for (const { keyword, name, further } of requiredBeside(reader)) {
    const promised = gather(withProperty(shape, name)).required;
    const missing = further.filter((other) => !promised.has(other));
    if (missing.length === 0 || isAbsent(checker, shape, name)) continue;
    const message = `objects with “${name}” and without ${missing.map((other) => `“${other}”`).join(', ')} are refused`;
    say('DEPENDENCY_ARRAY_ADDED', keyword, message);
  }
}

function compareDependentSchemas(checker: Checker, shape: Shape, reader: SchemaNode): Refused[] {
  return schemasBeside(reader).flatMap(({ name, schema }) =>
    isAbsent(checker, shape, name) ? [] : checker.include(withProperty(shape, name), schema),
  );
}
