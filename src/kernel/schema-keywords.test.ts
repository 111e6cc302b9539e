import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { unknownKeywords } from './schema-keywords.ts';

describe('a word in a schema that is not a keyword', () => {
  it.each([
    [{ requird: ['a'] }, '/requird', '“required”'],
    [
      { properties: { 'a/b': { type: 'string', minLenght: 3 } } },
      '/properties/a~1b/minLenght',
      '“minLength”',
    ],
    [{ items: { anyof: [] } }, '/items/anyof', '“anyOf”'],
    [{ allOf: [{}, { tpye: 'string' }] }, '/allOf/1/tpye', '“type”'],
    [{ if: { consst: 1 } }, '/if/consst', '“const”'],
    [{ additionalProperties: { maxlength: 1 } }, '/additionalProperties/maxlength', '“maxLength”'],
    [{ $defs: { a: { 'ui:widget': 'textarea' } } }, '/$defs/a/ui:widget', undefined],
    [{ id: 'a' }, '/id', '“$id”'],
  ])('%j', (schema, path, meant) => {
    expect(unknownKeywords(schema)).toEqual([
      { path, message: expect.stringContaining('is not a keyword of JSON Schema'), ...(meant && { meant }) },
    ]);
  });

  it('is none where values, names of members or annotations stand', () => {
    expect(
      unknownKeywords({
        'x-aios-classification': 'personal',
        example: 1,
        default: { requird: 1 },
        const: { requird: 1 },
        enum: [{ requird: 1 }],
        examples: [{ requird: 1 }],
        dependentRequired: { requird: ['a'] },
        properties: { requird: true, minLenght: { type: ['string', 'null'], nullable: true } },
        items: false,
        dependencies: { a: ['requird'] },
      }),
    ).toEqual([]);
  });

  it('is none of the keywords that the schemas of draft 2020-12 themselves name', () => {
    const folder = join(
      dirname(createRequire(import.meta.url).resolve('ajv/package.json')),
      'lib/refs/json-schema-2020-12/meta',
    );
    const keywords = readdirSync(folder).flatMap((file) =>
      Object.keys(JSON.parse(readFileSync(join(folder, file), 'utf8')).properties),
    );
    expect(keywords).toContain('unevaluatedItems');
    expect(unknownKeywords(Object.fromEntries(keywords.map((name) => [name, null])))).toEqual([]);
  });
});
