import avsc from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../json.ts';
import { compileSchema } from '../schema.ts';
import { jsonSchemaOfAvro } from './avro-json-schema.ts';
import { avroReader } from './avro-reading.ts';
import { parseAvro } from './avro-schema.ts';
import { avroBytes } from './avro-writing.ts';

const bounds = { jsonBytesMax: 1_000_000, depthMax: 64 };
const read = (schema: Json, bytes: Uint8Array | readonly number[], more = bounds) =>
  avroReader(parseAvro(schema))(Buffer.from(bytes as Uint8Array), more);
const both = (schema: Json, value: Json) => read(schema, avroBytes(parseAvro(schema), value));
const logical = (type: string, logicalType: string, more: JsonObject = {}): Json => ({
  type,
  logicalType,
  ...more,
});

describe('values of Avro as JSON', () => {
  it.each<[string, Json, Json]>([
    ['a long that is exact', 'long', Number.MAX_SAFE_INTEGER],
    ['a long that is not', 'long', '9223372036854775807'],
    ['the smallest long', 'long', '-9223372036854775808'],
    ['the smallest int', 'int', -2147483648],
    ['no number', 'double', 'NaN'],
    ['infinity', 'float', '-Infinity'],
    ['bytes', 'bytes', 'AP8='],
    ['a text', 'string', 'ä\u0000😀'],
    ['a map with any names', { type: 'map', values: 'int' }, JSON.parse('{"__proto__":1,"":2}') as Json],
    ['a record with any names', record('__proto__', 'int'), JSON.parse('{"__proto__":1}') as Json],
    ['a date', logical('int', 'date'), '1899-12-31'],
    ['milliseconds', logical('long', 'timestamp-millis'), '2026-02-28T23:59:59.001Z'],
    ['microseconds', logical('long', 'timestamp-micros'), '1969-12-31T23:59:59.999999Z'],
    ['nanoseconds', logical('long', 'timestamp-nanos'), '2026-01-01T00:00:00.123456789Z'],
    ['a local time', logical('long', 'local-timestamp-millis'), '2026-01-01T00:00:00.500'],
    ['a time of day', logical('int', 'time-millis'), '23:59:59.999'],
    ['a time of day in microseconds', logical('long', 'time-micros'), '00:00:00.000001'],
    ['a uuid of bytes', { ...uuid(16) }, '6ba7b810-9dad-11d1-80b4-00c04fd430c8'],
    ['a decimal', logical('bytes', 'decimal', { precision: 20, scale: 2 }), '-123456789012345678.90'],
    ['a small decimal', logical('bytes', 'decimal', { precision: 4, scale: 4 }), '0.0005'],
    ['a whole decimal', logical('bytes', 'decimal', { precision: 4 }), '-128'],
    [
      'a decimal of fixed bytes',
      logical('fixed', 'decimal', { name: 'D', size: 8, precision: 9, scale: 1 }),
      '-0.1',
    ],
  ])('%s is written and read, and fits the JSON Schema', (_, schema, value) => {
    expect(both(schema, value)).toEqual(value);
    expect(compileSchema(jsonSchemaOfAvro(parseAvro(schema)))(value)).toEqual([]);
  });

  it('takes times with a zone, and fewer digits', () => {
    expect(both(logical('long', 'timestamp-millis'), '2026-01-01T01:00:00+01:00')).toBe(
      '2026-01-01T00:00:00.000Z',
    );
    expect(both(logical('bytes', 'decimal', { precision: 4, scale: 2 }), '1.5')).toBe('1.50');
  });

  it.each<[string, Json, Json, string]>([
    ['a number that is no int', 'int', 2 ** 31, '2147483648 is not a valid int'],
    ['a fraction', 'long', 1.5, '1.5 is not a valid long'],
    ['more than a long', 'long', '9223372036854775808', 'is not a valid long'],
    [
      'more digits than the scale',
      logical('bytes', 'decimal', { precision: 4, scale: 2 }),
      '1.555',
      'decimal',
    ],
    [
      'more digits than the precision',
      logical('bytes', 'decimal', { precision: 4, scale: 2 }),
      '100.00',
      'decimal',
    ],
    ['a day that there is not', logical('int', 'date'), '2026-02-30', 'is not a valid date'],
    [
      'finer than the unit',
      logical('long', 'timestamp-millis'),
      '2026-01-01T00:00:00.0001Z',
      'is not a valid timestamp',
    ],
    [
      'a moment without a zone',
      logical('long', 'timestamp-millis'),
      '2026-01-01T00:00:00',
      'is not a valid timestamp',
    ],
    ['what would be infinite in 4 bytes', 'float', 1e39, '1e+39 is not a valid float'],
    ['an unknown symbol', { type: 'enum', name: 'E', symbols: ['A'] }, 'B', 'is not a valid enum E'],
    ['no branch', ['null', 'int'], 'x', '"x" is none of null, int'],
    ['a field that is missing', record('a', 'int'), {}, 'is required'],
  ])('does not write %s', (_, schema, value, why) => {
    expect(() => avroBytes(parseAvro(schema), value)).toThrow(why);
  });

  it('says where a value does not fit, and leaves out what no field has', () => {
    const schema = record('a', { type: 'array', items: record('b', ['null', 'int'], 'S') });
    expect(() => avroBytes(parseAvro(schema), { a: [{ b: 1 }, { b: 'x' }] })).toThrow(
      expect.objectContaining({ path: '/a/1/b' }),
    );
    expect(both(schema, { a: [{ b: 1, more: 2 }, {}] })).toEqual({ a: [{ b: 1 }, { b: null }] });
  });

  it('writes an object as the branch of a union that leaves out the least of it', () => {
    const optional = { ...record('a', 'int', 'A'), fields: [{ name: 'a', type: 'int', default: 0 }] };
    const schema = [optional, record('b', 'int', 'B'), { type: 'map', values: 'int' }];
    for (const value of [{ a: 1 }, { b: 1 }, { c: 1, a: 2 }] as Json[])
      expect(both(schema, value)).toEqual(value);
    expect(both([optional, record('b', 'int', 'B')], {})).toEqual({ a: 0 });
  });

  it('reads what another library writes, of any schema', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e9 }), (seed) => {
        const { schema, value, plain } = anything(seed);
        const bytes = avsc.Type.forSchema(schema as never, { wrapUnions: 'always' }).toBuffer(value);
        expect(read(schema, bytes)).toEqual(plain);
        // Of a union our own may take another branch for the same value.
        expect(both(schema, plain)).toEqual(plain);
        expect(compileSchema(jsonSchemaOfAvro(parseAvro(schema)))(plain)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

describe('bytes that are none of a schema', () => {
  const nulls = { type: 'array', items: 'null' };
  it.each<[string, Json, number[], string]>([
    ['nothing', 'int', [], 'end in the middle'],
    ['a text that goes on', 'string', [20, 65], 'end in the middle'],
    ['a length below 0', 'bytes', [1], '-1 is not a valid length'],
    ['200 million nulls in 6 bytes', nulls, [0x80, 0x88, 0xde, 0xbe, 0x01, 0], 'larger than an event'],
    ['as many nulls as there are numbers', nulls, [...new Array(9).fill(0xff), 1, 0], 'block of'],
    ['a block whose size is below 0', { type: 'array', items: 'int' }, [1, 3, 0], '-2 is not a valid length'],
    ['more than 64 bits', 'long', [...new Array(9).fill(0xff), 2], 'more than 64 bits'],
    ['a number without an end', 'long', new Array(20).fill(0xff), 'more than 64 bits'],
    ['a long for an int', 'int', [0x80, 0x80, 0x80, 0x80, 0x10], 'is not a valid int'],
    ['a branch that there is not', ['null', 'int'], [4], 'no branch 2'],
    ['a branch below 0', ['null', 'int'], [1], 'no branch -1'],
    ['a symbol that there is not', { type: 'enum', name: 'E', symbols: ['A'] }, [2], 'no symbol 1'],
    ['no UTF-8', 'string', [2, 0xff], 'no UTF-8'],
    ['what is left over', 'int', [2, 2], '1 bytes are left over'],
    ['a boolean of 2', 'boolean', [2], '2 is not a boolean'],
    [
      'a time past the end of a day',
      logical('int', 'time-millis'),
      [0x80, 0xf0, 0xb2, 0x52],
      'is not a valid time-millis',
    ],
    [
      'a decimal with more digits than any',
      logical('bytes', 'decimal', { precision: 4 }),
      [0xc6, 0x06, 1, ...new Array(418).fill(0)],
      'a number of 419 bytes is not a valid decimal',
    ],
    ['a date past all dates', logical('int', 'date'), [0xfe, 0xff, 0xff, 0xff, 0x0f], 'is not a valid date'],
  ])('are told: %s', (_, schema, bytes, why) => {
    expect(() => read(schema, bytes)).toThrow(why);
  });

  it('are none where a decimal has its sign before it again and again', () => {
    const schema = logical('bytes', 'decimal', { precision: 4, scale: 2 });
    expect(read(schema, [0xd0, 0x0f, ...new Array(998).fill(0xff), 0xfe, 0x0c])).toBe('-5.00');
  });

  it.each([400_000_000, 1_000_000_000])('are not read by a decimal of %i digits', (digits) => {
    const schema = logical('bytes', 'decimal', { precision: digits, scale: digits });
    expect(() => parseAvro(schema)).toThrow(
      expect.objectContaining({ code: 'definition.invalid', message: expect.stringContaining('/precision') }),
    );
  });

  it('are told with their place', () => {
    const schema = record('a', { type: 'array', items: record('b', 'boolean', 'S') });
    expect(() => read(schema, [4, 1, 9, 0])).toThrow(expect.objectContaining({ path: '/a/1/b' }));
  });

  it('end where they are nested too deep', () => {
    const schema = record('next', ['null', 'R']);
    expect(() => read(schema, new Array(100_000).fill(2))).toThrow('nested too deep');
    const endless = record('next', 'R');
    expect(() => read(endless, [])).toThrow('nested too deep');
  });

  it('never end the process, and cost no more than they may', () => {
    const schema = parseAvro([
      'null',
      {
        type: 'map',
        values: { type: 'array', items: ['null', 'long', 'string', { type: 'map', values: 'null' }] },
      },
    ]);
    const from = avroReader(schema);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          expect(JSON.stringify(from(bytes, bounds)).length).toBeLessThan(2 * bounds.jsonBytesMax);
        } catch (error) {
          expect((error as Error).name).toBe('AvroFault');
        }
      }),
      { numRuns: 2000 },
    );
  });
});

function record(field: string, type: Json, name = 'R'): JsonObject {
  return { type: 'record', name, fields: [{ name: field, type }] };
}

function uuid(size: number): JsonObject {
  return { type: 'fixed', name: 'U', size, logicalType: 'uuid' };
}

/** A schema with a value as avsc has it, and as JSON. */
function anything(seed: number): { schema: Json; value: unknown; plain: Json } {
  let state = seed + 1;
  let names = 0;
  const pick = (below: number) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
  const make = (depth: number, isBranch: boolean): ReturnType<typeof anything> & { branch: string } => {
    const kind = pick(depth > 3 ? 8 : isBranch ? 13 : 14);
    const simple = (branch: string, value: unknown, plain = value as Json) => ({
      schema: branch as Json,
      ...{ value, plain, branch },
    });
    if (kind === 0) return simple('null', null);
    if (kind === 1) return simple('boolean', pick(2) === 1);
    if (kind === 2) return simple('int', pick(2147483647) - 1e9);
    if (kind === 3) return simple('long', pick(2147483647) * pick(4e6) - 1e9);
    if (kind === 4) return simple('double', pick(1e6) / 8);
    if (kind === 5) return simple('float', pick(1000) / 8);
    if (kind === 6) return simple('string', `t${pick(99)}é`);
    const buffer = Buffer.from([pick(256), pick(256)]);
    if (kind === 7) return simple('bytes', buffer, buffer.toString('base64'));
    const name = `n.N${++names}`;
    if (kind === 8)
      return { ...simple(name, buffer, buffer.toString('base64')), schema: { type: 'fixed', name, size: 2 } };
    if (kind === 9) return { ...simple(name, 'B'), schema: { type: 'enum', name, symbols: ['A', 'B'] } };
    if (kind === 10) {
      const item = make(depth + 1, false);
      const count = pick(3);
      const list = (one: unknown) => new Array(count).fill(one) as Json[];
      return {
        ...simple('array', list(item.value), list(item.plain)),
        schema: { type: 'array', items: item.schema },
      };
    }
    if (kind === 11) {
      const member = make(depth + 1, false);
      return {
        ...simple('map', { k: member.value }, { k: member.plain }),
        schema: { type: 'map', values: member.schema },
      };
    }
    if (kind === 12) {
      const parts = Array.from({ length: pick(4) }, (_, n) => ({ name: `f${n}`, ...make(depth + 1, false) }));
      const of = (key: 'value' | 'plain') =>
        Object.fromEntries(parts.map((part) => [part.name, part[key]])) as Json;
      const fields = parts.map((part) => ({ name: part.name, type: part.schema }));
      return { ...simple(name, of('value'), of('plain')), schema: { type: 'record', name, fields } };
    }
    const inner = make(depth + 1, true);
    const isNull = inner.branch === 'null';
    return {
      schema: isNull ? ['null', 'int'] : ['null', inner.schema],
      value: isNull ? null : { [inner.branch]: inner.value },
      ...{ plain: inner.plain, branch: 'union' },
    };
  };
  return make(0, false);
}
