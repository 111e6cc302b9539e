import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { JsonObject } from '../kernel/json.ts';
import { compileSchema } from '../kernel/schema.ts';
import { exampleOfSchema } from './schema-example.ts';

const object = (properties: JsonObject, required = Object.keys(properties)) => ({
  type: 'object',
  required,
  properties,
});

describe('an example of a schema', () => {
  it.each<[JsonObject, unknown]>([
    [object({ a: { type: 'string' }, b: { type: 'number' } }, ['b']), { b: 1 }],
    [object({ a: { type: 'number', exclusiveMinimum: 5 } }), { a: 6 }],
    [object({ a: { type: 'integer', minimum: 2, multipleOf: 4 } }), { a: 4 }],
    [object({ a: { type: 'number', maximum: 0.5 } }), { a: 0.5 }],
    [
      object({ a: { type: ['null', 'boolean'] }, b: { enum: ['x', 'y'] }, c: { const: 3 } }),
      { a: true, b: 'x', c: 3 },
    ],
    [object({ a: { type: 'string', minLength: 6 } }), { a: 'text..' }],
    [object({ a: { type: 'array', minItems: 1, items: { $ref: '#/$defs/line' } } }), undefined],
    [
      {
        ...object({ a: { type: 'array', minItems: 1, items: { $ref: '#/$defs/n' } } }),
        $defs: { n: { type: 'number' } },
      },
      { a: [1] },
    ],
    [
      { allOf: [object({ a: { type: 'string' } }), object({ b: { type: 'string' } })] },
      { a: 'text', b: 'text' },
    ],
    [{ oneOf: [object({ a: { type: 'string' } }), object({ b: { type: 'string' } })] }, { a: 'text' }],
    [{ ...object({ a: { type: 'string' } }), examples: [{ a: 'theirs' }] }, { a: 'theirs' }],
    [object({ a: { type: 'string', format: 'date-time' } }), { a: '2026-01-31T06:00:00Z' }],
    // No example is better than one that is refused.
    [object({ a: { type: 'string', pattern: '^C-[0-9]{3}$' } }), undefined],
    [{ $ref: '#' }, undefined],
    [{ $ref: 'https://example.com/other.json' }, undefined],
  ])('%j gives %j', (schema, expected) => {
    expect(exampleOfSchema(schema)).toEqual(expected);
  });

  it('is had of every contract of the examples', () => {
    const examples = join(import.meta.dirname, '../../examples');
    const files = readdirSync(examples, { recursive: true, encoding: 'utf8' });
    const contracts = files.filter((file) => /contracts\/[^/]+\.yaml$/.test(file));
    expect(contracts.length).toBeGreaterThan(4);
    for (const file of contracts) {
      const { schema } = parse(readFileSync(join(examples, file), 'utf8')) as { schema: JsonObject };
      expect([file, compileSchema(schema)(exampleOfSchema(schema))]).toEqual([file, []]);
    }
  });
});
