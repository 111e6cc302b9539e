import { describe, expect, it } from 'vitest';
import { readDocument, type SourceDocument } from '../kernel/document.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { compileSchema } from '../kernel/schema.ts';
import { assess, meaningOf } from './assessment.ts';
import { avroContract, type SchemaOf } from './avro-contract.ts';
import type { ContractBody } from './contract-body.ts';
import { parseContract } from './contract-kind.ts';
import { versionFindings } from './version-findings.ts';

const file = (avro: string, more = '') =>
  readDocument(
    `name: order\nversion: 1.0.0\nowner: shop\n${more}avro:\n${avro.replace(/^/gm, '  ')}`,
    'contracts/order.yaml',
  );
const ORDER = `type: record
name: Order
doc: What was ordered
fields:
  - { name: id, type: { type: string, logicalType: uuid } }
  - { name: total, type: { type: bytes, logicalType: decimal, precision: 9, scale: 2 } }
  - { name: note, type: ["null", string], default: null, doc: For the shop }
  - { name: lines, type: { type: array, items: { type: record, name: Line, fields: [{ name: sku, type: string }, { name: gift, type: ["null", Line], default: null }] } } }
`;
const parse = (document: SourceDocument) => parseContract(document, limitsFrom());
const bodyOf = (avro: string) => parse(file(avro)).body as unknown as ContractBody;

describe('a contract with an Avro schema', () => {
  it('has the JSON Schema that follows from it', () => {
    const { schema } = bodyOf(ORDER);
    expect(schema).toEqual({
      type: 'object',
      description: 'What was ordered',
      required: ['id', 'total', 'lines'],
      properties: {
        id: { type: 'string' },
        total: { type: 'string', pattern: '^-?[0-9]+(\\.[0-9]{1,2})?$' },
        note: { type: ['null', 'string'], description: 'For the shop' },
        lines: { type: 'array', items: { $ref: '#/$defs/Line' } },
      },
      $defs: {
        Line: {
          type: 'object',
          required: ['sku'],
          properties: {
            sku: { type: 'string' },
            gift: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/Line' }] },
          },
        },
      },
    });
    const validate = compileSchema(schema);
    const order = { id: 'x', total: '12.50', lines: [{ sku: 'a', gift: { sku: 'b' } }] };
    expect(validate(order)).toEqual([]);
    expect(validate({ ...order, lines: [{ sku: 'a', gift: { sku: 1 } }] })).toMatchObject([
      { path: '/lines/0/gift' },
      { path: '/lines/0/gift/sku' },
      { path: '/lines/0/gift' },
    ]);
  });

  it('is read back with both, and refused where the JSON Schema is another one', () => {
    const written = JSON.stringify(bodyOf(ORDER));
    expect(parse(readDocument(written, 'contracts/order.json')).body).toEqual(bodyOf(ORDER));
    expect(() => parse(file(ORDER, 'schema: { type: object }\n'))).toThrow(
      expect.objectContaining({
        code: 'definition.invalid',
        issues: [expect.objectContaining({ path: '/schema', line: 4 })],
      }),
    );
  });

  it('tells the line of what is not Avro', () => {
    const faulty = ORDER.replace('items: { type: record', 'items: { type: recrod');
    expect(() => parse(file(faulty))).toThrow(
      expect.objectContaining({
        issues: [
          expect.objectContaining({
            path: '/avro/fields/3/type/items/type',
            line: 12,
            message: expect.stringContaining('“recrod”'),
          }),
        ],
      }),
    );
    expect(() => parse(readDocument('name: a\nversion: 1.0.0\nowner: b\n', 'a.yaml'))).toThrow(
      'schema is required, or avro',
    );
  });

  it('means the same in other words, and gets a version by what changes', () => {
    const first = bodyOf(ORDER);
    const reworded = bodyOf(
      ORDER.replace('type: ["null", string]', 'type: [{ type: "null" }, { type: string }]'),
    );
    expect(meaningOf(reworded)).toEqual(meaningOf(first));
    const change = (avro: string) => {
      const { change: kind, suggestedVersion, findings } = assess([first], bodyOf(avro), 'BACKWARD');
      return [kind, suggestedVersion, ...findings.map(({ code, path }) => `${code} ${path}`)];
    };
    expect(change(ORDER)).toEqual(['none', '1.0.0']);
    expect(change(ORDER.replace('What was', 'All that was'))).toEqual(['patch', '1.0.1']);
    const added = '\n  - { name: shop, type: string, default: web }\n';
    expect(change(ORDER.trimEnd() + added)).toEqual(['minor', '1.1.0']);
    expect(change(ORDER.replace('scale: 2', 'scale: 3'))).toEqual([
      'major',
      '2.0.0',
      'LOGICAL_TYPE_CHANGED /fields/1/type/logicalType',
    ]);
  });

  it('is not compatible with a JSON Schema, whatever that says', () => {
    const [avro, json] = [avroContract('string'), { schema: { type: 'string' } }];
    const told = (from: SchemaOf, to: SchemaOf) =>
      versionFindings('FULL', from, to).map(({ code, direction }) => `${code} ${direction}`);
    const both = ['SCHEMA_TYPE_CHANGED backward', 'SCHEMA_TYPE_CHANGED forward'];
    expect([told(avro, json), told(json, avro)]).toEqual([both, both]);
    expect(versionFindings('NONE', avro, json)).toEqual([]);
  });
});
