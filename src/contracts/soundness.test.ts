import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../kernel/json.ts';
import { schemaCompiler } from '../kernel/schema-compiler.ts';
import { compatibilityFindings } from './compatibility.ts';

/*
 * What the checker calls compatible is compatible: over random pairs of schemas, of which one is often a change of the other, every value of a
 * pool that fits the writer's fits the reader's, by ajv. The words are few so that keywords meet: names a b c, texts of at most 4 letters, small numbers.
 */
type Schema = JsonObject | boolean;
const RUNS = Number(process.env.SOUNDNESS_RUNS ?? 600);
const name = fc.constantFrom('a', 'b', 'c');
const small = fc.integer({ min: 0, max: 4 });
const leafValue = fc.constantFrom<Json[]>(null, true, false, 0, 1, 2, 3, 1.5, 2 ** 40, '', 'a', 'ab', 'b');
const value: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leafValue,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name, tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;
const type = fc.constantFrom('null', 'boolean', 'object', 'array', 'string', 'number', 'integer');

const { schema } = fc.letrec<{ schema: Schema; map: JsonObject; list: Json[] }>((tie) => {
  const schema = tie('schema') as fc.Arbitrary<Json>;
  const map = fc.dictionary(name, schema, { maxKeys: 2, noNullPrototype: true });
  const list = fc.array(schema, { minLength: 1, maxLength: 2 });
  const keyword = fc.oneof(
    fc.record({ type: fc.oneof(type, fc.uniqueArray(type, { minLength: 1, maxLength: 3 })) }),
    fc.record({
      enum: fc.uniqueArray(value, { minLength: 1, maxLength: 3, selector: (one) => JSON.stringify(one) }),
    }),
    fc.record({ const: value }),
    fc.record({ minimum: small }),
    fc.record({ exclusiveMinimum: small }),
    fc.record({ maximum: small }),
    fc.record({ exclusiveMaximum: small }),
    fc.record({ multipleOf: fc.constantFrom(0.5, 1, 2, 3) }),
    fc.record({ minLength: small }),
    fc.record({ maxLength: small }),
    fc.record({ pattern: fc.constantFrom('^a', 'b$', '^') }),
    fc.record({ minItems: small }),
    fc.record({ maxItems: small }),
    fc.record({ uniqueItems: fc.boolean() }),
    fc.record({ items: schema }),
    fc.record({ prefixItems: list }),
    fc.record({ contains: schema }),
    fc.record({ contains: schema, minContains: small, maxContains: small }),
    fc.record({ unevaluatedItems: schema }),
    fc.record({ properties: map }),
    fc.record({ required: fc.uniqueArray(name, { maxLength: 2 }) }),
    fc.record({ additionalProperties: schema }),
    fc.record({
      patternProperties: fc.dictionary(fc.constantFrom('^a', '[ab]'), schema, {
        maxKeys: 2,
        noNullPrototype: true,
      }),
    }),
    fc.record({
      propertyNames: fc.constantFrom<Json>({ enum: ['a', 'b'] }, { maxLength: 1 }, { pattern: '^a' }, false),
    }),
    fc.record({ minProperties: small }),
    fc.record({ maxProperties: small }),
    fc.record({
      dependentRequired: fc.dictionary(name, fc.uniqueArray(name, { maxLength: 2 }), {
        maxKeys: 2,
        noNullPrototype: true,
      }),
    }),
    fc.record({ dependentSchemas: map }),
    fc.record({
      dependencies: fc.dictionary(name, fc.oneof(schema, fc.uniqueArray(name, { maxLength: 2 })), {
        maxKeys: 2,
        noNullPrototype: true,
      }),
    }),
    fc.record({
      type: fc.oneof(type, fc.uniqueArray(type, { minLength: 1, maxLength: 2 })),
      nullable: fc.constant(true),
    }),
    fc.record({ format: fc.constantFrom('int32', 'int64', 'double', 'password', 'date') }),
    fc.record({ unevaluatedProperties: schema }),
    fc.record({ allOf: list }),
    fc.record({ anyOf: list }),
    fc.record({ oneOf: list }),
    fc.record({ not: schema }),
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    fc.record({ if: schema, then: schema }),
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    fc.record({ if: schema, then: schema, else: schema }),
    fc.constant<JsonObject>({ $ref: '#/$defs/d' }),
  );
  return {
    schema: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.oneof(fc.boolean(), fc.record({ type })),
      fc
        .array(keyword, { minLength: 1, maxLength: 4 })
        .map((parts) => withoutAjvFault(Object.assign({}, ...(parts as JsonObject[])) as JsonObject)),
    ) as fc.Arbitrary<Schema>,
    map,
    list,
  };
});

/** ajv 8 lets an empty array through `contains` where `prefixItems` stands beside it; the specification does not. */
function withoutAjvFault(schema: JsonObject): JsonObject {
  if (schema.prefixItems === undefined) return schema;
  const { contains: _, minContains: __, maxContains: ___, ...rest } = schema;
  return rest;
}

/** A document: `$defs/d` may hold members like itself, never itself in place. */
const document = fc.record({ root: schema, definition: schema }).map(({ root, definition }): JsonObject => {
  const member = withoutReferences(definition);
  return {
    ...(typeof root === 'boolean' ? { allOf: [root] } : root),
    $defs: { d: { properties: { a: { $ref: '#/$defs/d' } }, items: { $ref: '#/$defs/d' }, allOf: [member] } },
  };
});

function withoutReferences(part: Json): Json {
  if (typeof part !== 'object' || part === null) return part;
  if (Array.isArray(part)) return part.map(withoutReferences);
  const { $ref, ...rest } = part;
  return Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, withoutReferences(inner)]));
}

/** Another document made of one: parts replaced, left out or wrapped, so that the two are often related. */
const pair = fc
  .record({ one: document, other: document, choices: fc.array(fc.nat(5), { minLength: 12, maxLength: 12 }) })
  .map(({ one, other, choices }) => {
    let turn = 0;
    const choose = () => choices[turn++ % choices.length]!;
    const change = (part: Json, replacement: Json): Json => {
      if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
      const entries = Object.entries(part).flatMap(([key, inner]): [string, Json][] => {
        if (key.startsWith('$')) return [[key, inner]];
        const choice = choose();
        if (choice === 0 && !(key === 'type' && 'nullable' in part)) return []; // ajv takes no `nullable` alone
        if (choice === 1 && typeof inner === 'number') return [[key, Math.max(inner - 1, 1)]];
        if (choice === 2 && typeof inner === 'number') return [[key, inner + 1]];
        if (['items', 'not', 'if', 'then', 'else', 'additionalProperties', 'contains'].includes(key))
          return [[key, choice === 3 ? { anyOf: [inner, replacement] } : change(inner, replacement)]];
        if (['anyOf', 'oneOf', 'allOf'].includes(key) && choice === 4)
          return [[key, [...(inner as Json[]), replacement]]];
        return [[key, inner]];
      });
      return Object.fromEntries(entries);
    };
    const { $defs: _, ...rest } = other;
    return [one, { ...(change(one, rest) as JsonObject), $defs: one.$defs! }, other] as const;
  });

describe('what the checker calls compatible', () => {
  it('is so for every value, over random schemas', { timeout: 300_000 }, () => {
    const pool = [
      ...fc.sample(value, { numRuns: 400, seed: 1 }),
      ...fc.sample(leafValue, { numRuns: 30, seed: 2 }),
    ];
    let compatible = 0;
    let compared = 0;
    const holds = (writer: JsonObject, reader: JsonObject): boolean => {
      compared++;
      if (compatibilityFindings('BACKWARD', writer, reader, 'open').length > 0) return true;
      compatible++;
      try {
        const [fits, reads] = [compile(writer), compile(reader)];
        return pool.every((one) => !fits(one) || reads(one));
      } catch (error) {
        // ajv 8 makes code that throws of some schemas with `if` beside `patternProperties`.
        if (error instanceof TypeError || error instanceof ReferenceError) return true;
        throw error;
      }
    };
    fc.assert(
      fc.property(
        pair,
        ([one, changed, other]) => holds(one, changed) && holds(changed, one) && holds(one, other),
      ),
      {
        numRuns: RUNS,
        ...(process.env.SOUNDNESS_SEED ? { seed: Number(process.env.SOUNDNESS_SEED) } : { seed: 20261121 }),
      },
    );
    expect(compatible / compared).toBeGreaterThan(0.2); // a checker that refuses everything is sound, too
  });

  it('is so for objects that hold declared properties only, where open objects are taken to', {
    timeout: 300_000,
  }, () => {
    const leaf = fc.constantFrom<Json>(
      true,
      { type: 'number' },
      { type: 'integer', minimum: 1 },
      { enum: ['a', 1] },
    );
    const flat = fc.record(
      {
        properties: fc.dictionary(name, leaf, { maxKeys: 2, noNullPrototype: true }),
        required: fc.uniqueArray(name, { maxLength: 1 }),
        additionalProperties: fc.constantFrom<Json>(false, { type: 'number' }),
        patternProperties: fc.constantFrom<Json>({ '^a': { type: 'number' } }),
        dependentRequired: fc.constantFrom<Json>({ a: ['b'] }),
        maxProperties: fc.constantFrom(1, 2),
      },
      { requiredKeys: ['properties'] },
    );
    const combined = fc.record(
      {
        flat,
        anyOf: fc.array(flat, { minLength: 1, maxLength: 2 }),
        oneOf: fc.tuple(flat, flat),
        not: flat,
        if: flat,
      },
      { requiredKeys: ['flat'] },
    );
    const objects = combined.map(
      ({ flat: own, if: condition, ...rest }): JsonObject => ({
        type: 'object',
        ...(own as JsonObject),
        ...(rest as unknown as JsonObject),
        ...(condition ? { if: condition as JsonObject, else: { required: ['c'] } } : {}),
      }),
    );
    const values = ['a', 1, 0, null].flatMap((a) =>
      [undefined, 'a', 1].flatMap((b) => [undefined, 2, 'x'].map((c) => ({ a, b, c }))),
    );
    const pool = [...values, ...values.map(({ a: _, ...rest }) => rest)].map(
      (one) => JSON.parse(JSON.stringify(one)) as JsonObject,
    );
    let compatible = 0;
    fc.assert(
      fc.property(objects, objects, (writer, reader) => {
        if (compatibilityFindings('BACKWARD', writer, reader).length > 0) return true;
        compatible++;
        const declared = new Set(namesDeclared(writer));
        const [fits, reads] = [compile(writer), compile(reader)];
        return pool.every(
          (one) => Object.keys(one).some((key) => !declared.has(key)) || !fits(one) || reads(one),
        );
      }),
      { numRuns: RUNS * 3, seed: Number(process.env.SOUNDNESS_SEED ?? 20261121) },
    );
    expect(compatible).toBeGreaterThan(RUNS / 20);
  });
});

function compile(schema: JsonObject): (value: Json) => boolean {
  const ajv = schemaCompiler(schema, { strict: false, validateSchema: false, logger: false });
  return ajv.compile(schema) as (value: Json) => boolean;
}

/** The names of properties that a schema or one of its parts declares, or matches by a pattern. */
function namesDeclared(schema: Json): string[] {
  if (Array.isArray(schema)) return schema.flatMap(namesDeclared);
  if (typeof schema !== 'object' || schema === null) return [];
  const { properties, patternProperties, ...rest } = schema;
  const matched = patternProperties === undefined ? [] : ['a'];
  return [
    ...Object.keys((properties as JsonObject) ?? {}),
    ...matched,
    ...Object.values(rest).flatMap(namesDeclared),
  ];
}
