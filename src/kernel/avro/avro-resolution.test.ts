import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import avsc from 'avsc';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Json } from '../json.ts';
import { avroReader } from './avro-reading.ts';
import { resolveAvro } from './avro-resolution.ts';
import { parseAvro } from './avro-schema.ts';
import { avroBytes } from './avro-writing.ts';

interface Case {
  name: string;
  writer: Json;
  reader: Json;
  value?: Json;
  read?: Json;
  /** `CODE /pointer` */
  mismatches?: string[];
  /** Why avsc differs. */
  avsc?: string;
}

const file = join(import.meta.dirname, '../../../conformance/contracts/avro-resolution.yaml');
const cases = parse(await readFile(file, 'utf8')) as Case[];
const bounds = { jsonBytesMax: 1_000_000, depthMax: 64 };

/** Whether avsc reads what was written, by the same rule for names. */
function avscReads(writer: Json, reader: Json): boolean {
  const options = () => ({ wrapUnions: 'always' }) as const;
  const written = avsc.Type.forSchema(writer as never, options());
  try {
    avsc.Type.forSchema(reader as never, options()).createResolver(written, {
      ignoreNamespaces: true,
    } as never);
    return true;
  } catch {
    return false;
  }
}

describe('schema resolution of Avro', () => {
  it('is held to at least 30 cases', () => expect(cases.length).toBeGreaterThanOrEqual(30));

  it.each(cases)('$name', ({ writer, reader, value, read, mismatches = [], avsc: differs }) => {
    const [written, wanted] = [parseAvro(writer), parseAvro(reader)];
    const found = resolveAvro(written, wanted).mismatches;
    expect(found.map(({ code, reader: place }) => `${code} ${place || '/'}`)).toEqual(mismatches);
    if (read !== undefined)
      expect(avroReader(written, wanted)(avroBytes(written, value!), bounds)).toEqual(read);
    if (!differs) expect(avscReads(writer, reader)).toBe(mismatches.length === 0);
    for (const one of [written, wanted]) expect(resolveAvro(one, one).mismatches).toEqual([]);
  });

  it('says which types, and where in both schemas', () => {
    const record = (type: Json): Json => ({ type: 'record', name: 'R', fields: [{ name: 'a', type }] });
    const { mismatches } = resolveAvro(parseAvro(record('long')), parseAvro(record(['null', 'int'])));
    expect(mismatches).toEqual([
      {
        code: 'MISSING_UNION_BRANCH',
        reader: '/fields/0/type',
        writer: '/fields/0/type',
        message: 'no branch of the union reads long',
      },
    ]);
  });

  it('reads what it can of what is not all compatible, and says what it cannot', () => {
    const [writer, reader] = [parseAvro(['null', 'int']), parseAvro('int')];
    const read = avroReader(writer, reader);
    expect(read(avroBytes(writer, 3), bounds)).toBe(3);
    expect(() => read(avroBytes(writer, null), bounds)).toThrow('int does not read null');
  });

  it('compares types that name each other again and again in no more than their pairs', () => {
    const levels = (leaf: string): Json => {
      let inner: Json = { type: 'record', name: 'L0', fields: [{ name: 'v', type: leaf }] };
      for (let level = 1; level < 60; level++) {
        const name = `L${level}`;
        const types: Json[] = [inner, ['null', `L${level - 1}`]];
        inner = {
          type: 'record',
          name,
          fields: types.map((type, index): Json => ({ name: `f${index}`, type })),
        };
      }
      return inner;
    };
    const { mismatches } = resolveAvro(parseAvro(levels('string')), parseAvro(levels('int')));
    expect(mismatches.filter(({ code }) => code === 'TYPE_MISMATCH')).toHaveLength(1);
    expect(mismatches.length).toBeLessThan(100);
  });

  it('compares large schemas in a time that grows with their size: a search in each for each would take minutes', () => {
    const names = Array.from({ length: 300_000 }, (_, index) => `n${index}`);
    const symbols = { type: 'enum', name: 'E', symbols: names };
    const other = { type: 'enum', name: 'E', symbols: [...names].reverse() };
    expect(resolveAvro(parseAvro(symbols), parseAvro(other)).mismatches).toEqual([]);
    const record = (list: string[], type: string): Json => ({
      type: 'record',
      name: 'R',
      fields: list.map((name) => ({ name, type })),
    });
    const [writer, reader] = [record(names, 'int'), record([...names].reverse(), 'string')];
    expect(resolveAvro(parseAvro(writer), parseAvro(reader)).mismatches).toHaveLength(300_000);
    const within = (fields: Json): Json => ({
      type: 'record',
      name: 'O',
      fields: [{ name: 'r', type: fields }],
    });
    expect(resolveAvro(parseAvro(within(writer)), parseAvro(within(reader))).mismatches).toHaveLength(
      300_000,
    );
  });
});
