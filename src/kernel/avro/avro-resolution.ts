import type { Json } from '../json.ts';
import { AvroFault } from './avro-bytes.ts';
import { isSameLogical } from './avro-logical.ts';
import {
  type AvroEnum,
  type AvroField,
  type AvroFixed,
  type AvroNamed,
  type AvroPrimitive,
  type AvroRecord,
  type AvroType,
  type AvroUnion,
  nameOf,
  unqualified,
} from './avro-type.ts';
import {
  arrayRead,
  enumRead,
  fixedRead,
  mapRead,
  placed,
  primitiveRead,
  promotedRead,
  type Read,
} from './avro-values.ts';

/** Why a reader's schema does not read what a writer's schema writes. The first six are the names of Avro's own check (`SchemaIncompatibilityType`). */
export type AvroMismatchCode =
  | 'NAME_MISMATCH'
  | 'FIXED_SIZE_MISMATCH'
  | 'MISSING_ENUM_SYMBOLS'
  | 'READER_FIELD_MISSING_DEFAULT_VALUE'
  | 'TYPE_MISMATCH'
  | 'MISSING_UNION_BRANCH'
  | 'LOGICAL_TYPE_CHANGED'
  | 'TOO_COMPLEX';

/** One place where a reader does not read what a writer may write. */
export interface AvroMismatch {
  readonly code: AvroMismatchCode;
  /** JSON Pointers into the two schemas; behind the name of a type they go on in its definition. */
  readonly reader: string;
  readonly writer: string;
  readonly message: string;
}

export interface Resolution {
  /** Reads what was written. What the reader cannot take throws AvroFault when it comes. */
  readonly read: Read;
  /** None when the reader reads whatever the writer writes. */
  readonly mismatches: readonly AvroMismatch[];
}

interface Places {
  readonly reader: string;
  readonly writer: string;
}

/** Pairs of types that are looked at. Real schemas have hundreds. */
const PAIRS_MAX = 100_000;
/** Types in one another: each takes some of the stack. */
const NESTED_MAX = 500;
/** Types whose values a wider type reads (Avro 1.12, "Schema Resolution"). */
const PROMOTIONS: Partial<Record<AvroType['kind'], readonly AvroType['kind'][]>> = {
  int: ['long', 'float', 'double'],
  long: ['float', 'double'],
  float: ['double'],
  string: ['bytes'],
  bytes: ['string'],
};

/**
 * Holds a reader's schema to a writer's (Avro 1.12, "Schema Resolution"): the places where it does not read all that may be written, and the function that reads what it does. One
 * walk makes both, so that what is called compatible is what is read.
 *
 * @example resolveAvro(parseAvro('string'), parseAvro('int')).mismatches // [{ code: 'TYPE_MISMATCH', reader: '', writer: '', … }]
 */
export function resolveAvro(writer: AvroType, reader: AvroType): Resolution {
  return new Resolver().resolve(writer, reader, { reader: '', writer: '' });
}

class Resolver {
  /** By writer and reader. What is under way is taken to resolve: types refer to themselves. */
  readonly #known = new Map<AvroType, Map<AvroType, Resolution>>();
  /** In the order of coming. */
  readonly #kept: (readonly [AvroType, AvroType])[] = [];
  #pairs = 0;
  #nested = 0;

  resolve(writer: AvroType, reader: AvroType, at: Places): Resolution {
    if (writer.kind === 'union') return this.#fromUnion(writer, reader, at);
    if (reader.kind === 'union') return this.#intoUnion(writer, reader, at);
    if (writer.kind !== reader.kind) return this.#promoted(writer, reader, at);
    const known = this.#known.get(writer)?.get(reader);
    if (known) return known;
    if (++this.#pairs > PAIRS_MAX || this.#nested >= NESTED_MAX)
      return failed(
        'TOO_COMPLEX',
        at,
        `more than ${PAIRS_MAX} pairs of types, or ${NESTED_MAX} in one another`,
      );
    let made: Resolution | undefined;
    this.#keep(writer, reader, { read: (from) => made!.read(from), mismatches: [] });
    this.#nested++;
    made = this.#same(writer, reader, at);
    this.#nested--;
    this.#keep(writer, reader, made);
    return made;
  }

  #keep(writer: AvroType, reader: AvroType, resolution: Resolution): void {
    const known = this.#known.get(writer) ?? new Map<AvroType, Resolution>();
    this.#known.set(writer, known.set(reader, resolution));
    this.#kept.push([writer, reader]);
  }

  /** Of two types of one kind. */
  #same(writer: AvroType, reader: AvroType, at: Places): Resolution {
    if (writer.kind === 'array' && reader.kind === 'array') {
      const items = this.resolve(writer.items, reader.items, below(at, '/items'));
      return { ...items, read: arrayRead(items.read) };
    }
    if (writer.kind === 'map' && reader.kind === 'map') {
      const values = this.resolve(writer.values, reader.values, below(at, '/values'));
      return { ...values, read: mapRead(values.read) };
    }
    if (isNamed(writer) && isNamed(reader)) return this.#named(writer, reader, at);
    const [written, read] = [writer as AvroPrimitive, reader as AvroPrimitive];
    return isSameLogical(written.logical, read.logical)
      ? { read: primitiveRead(written.kind, read.logical), mismatches: [] }
      : relabelled(written, read, at);
  }

  #named(writer: AvroNamed, reader: AvroNamed, at: Places): Resolution {
    if (!isSameName(writer, reader))
      return failed('NAME_MISMATCH', below(at, '/name'), `${reader.name} does not read ${writer.name}`);
    if (writer.kind === 'record' && reader.kind === 'record') return this.#records(writer, reader, at);
    if (writer.kind === 'enum') return enums(writer, reader as AvroEnum, at);
    const [written, read] = [writer as AvroFixed, reader as AvroFixed];
    if (written.size !== read.size) {
      const message = `${read.size} bytes do not read ${written.size}`;
      return failed('FIXED_SIZE_MISMATCH', below(at, '/size'), message);
    }
    return isSameLogical(written.logical, read.logical)
      ? { read: fixedRead(read), mismatches: [] }
      : relabelled(written, read, at);
  }

  #records(writer: AvroRecord, reader: AvroRecord, at: Places): Resolution {
    const mismatches: AvroMismatch[] = [];
    const sources = sourcesOf(writer, reader);
    const targets = new Map(reader.fields.map((field, index) => [sources.get(field), index]));
    const steps: { read: Read; name: string; target: string | undefined }[] = [];
    for (const [index, field] of writer.fields.entries()) {
      const target = targets.get(field);
      const read = target === undefined ? undefined : reader.fields[target];
      const places = {
        reader: `${at.reader}/fields/${target}/type`,
        writer: `${at.writer}/fields/${index}/type`,
      };
      const resolved = this.resolve(field.type, read?.type ?? field.type, places);
      if (read) for (const found of resolved.mismatches) mismatches.push(found);
      steps.push({ read: resolved.read, name: field.name, target: read?.name });
    }
    const filled: [string, Json, number][] = [];
    for (const [index, field] of reader.fields.entries()) {
      if (sources.has(field)) continue;
      if (field.default) filled.push([field.name, field.default.json, sizeOf(field.default.json)]);
      else {
        const message = `the field “${field.name}” is not written, and has no default`;
        const places = { reader: `${at.reader}/fields/${index}`, writer: at.writer };
        mismatches.push(mismatch('READER_FIELD_MISSING_DEFAULT_VALUE', places, message));
      }
    }
    const isPartial = mismatches.find(({ code }) => code === 'READER_FIELD_MISSING_DEFAULT_VALUE');
    const read = isPartial ? failing(isPartial) : recordRead(reader, steps, filled);
    return { read, mismatches: once(mismatches) };
  }

  #promoted(writer: AvroType, reader: AvroType, at: Places): Resolution {
    const isWider = PROMOTIONS[writer.kind]?.includes(reader.kind);
    if (!isWider) return failed('TYPE_MISMATCH', at, `${nameOf(reader)} does not read ${nameOf(writer)}`);
    const [written, wider] = [writer as AvroPrimitive, reader as AvroPrimitive];
    if (written.logical || wider.logical) return relabelled(written, wider, at);
    return { read: promotedRead(wider) ?? primitiveRead(written.kind, undefined), mismatches: [] };
  }

  /** Which branch was written stands before its value. All have to be read. */
  #fromUnion(writer: AvroUnion, reader: AvroType, at: Places): Resolution {
    const branches = writer.branches.map((branch, index) =>
      this.resolve(branch, reader, { ...at, writer: `${at.writer}/${index}` }),
    );
    const read: Read = (from) => {
      const index = from.int();
      const branch = branches[index];
      if (!branch) throw new AvroFault(`the union has no branch ${index}`);
      return branch.read(from);
    };
    return { read, mismatches: once(branches.flatMap(({ mismatches }) => mismatches)) };
  }

  /** The first branch that reads it: of its own kind and full name, then of its own kind, then a wider one. */
  #intoUnion(writer: AvroType, reader: AvroUnion, at: Places): Resolution {
    const candidates = reader.branches
      .map((branch, index) => ({ branch, place: `${at.reader}/${index}`, rank: rankOf(writer, branch) }))
      .sort((a, b) => a.rank - b.rank);
    const why: AvroMismatch[] = [];
    for (const { branch, place, rank } of candidates) {
      const resolved = this.#attempt(writer, branch, { ...at, reader: place });
      if (resolved.mismatches.length === 0) return resolved;
      if (rank < 2) why.push(resolved.mismatches[0]!);
    }
    const reason = why[0] ? ` (${why[0].reader}: ${why[0].message})` : '';
    return failed('MISSING_UNION_BRANCH', at, `no branch of the union reads ${nameOf(writer)}${reason}`);
  }

  /** What did not resolve never will; what did resolve within it may have leant on it, and is looked at again. */
  #attempt(writer: AvroType, reader: AvroType, at: Places): Resolution {
    const before = this.#kept.length;
    const resolved = this.resolve(writer, reader, at);
    if (resolved.mismatches.length === 0) return resolved;
    for (const [written, read] of this.#kept.splice(before)) {
      const known = this.#known.get(written)!;
      if (known.get(read)?.mismatches.length === 0) known.delete(read);
    }
    return resolved;
  }
}

/** Which field of the writer each field of the reader takes: that of its name, else that of an alias which is not a name of another field. */
function sourcesOf(writer: AvroRecord, reader: AvroRecord): Map<AvroField, AvroField> {
  const written = new Map(writer.fields.map((field) => [field.name, field]));
  const names = new Set(reader.fields.map(({ name }) => name));
  const sources = new Map<AvroField, AvroField>();
  for (const field of reader.fields) {
    const alias = field.aliases.find((one) => written.has(one) && !names.has(one));
    const source = written.get(field.name) ?? (alias === undefined ? undefined : written.get(alias));
    if (!source) continue;
    sources.set(field, source);
    if (source.name === alias) written.delete(alias); // one field of the writer is read once
  }
  return sources;
}

function recordRead(
  reader: AvroRecord,
  steps: readonly { read: Read; name: string; target: string | undefined }[],
  filled: readonly [string, Json, number][],
): Read {
  const names = reader.fields.map(({ name }) => name);
  const cost = names.reduce((sum, name) => sum + name.length + 4, 2);
  const fillCost = filled.reduce((sum, [, , size]) => sum + size, 0);
  return (from) =>
    from.within(() => {
      from.spend(cost + fillCost);
      const found = new Map<string, Json>();
      for (const [name, json] of filled) found.set(name, json);
      for (const { read, name, target } of steps) {
        const value = placed(read, from, name);
        if (target !== undefined) found.set(target, value);
      }
      return Object.fromEntries(names.map((name) => [name, found.get(name)!])); // a name may be `__proto__`
    });
}

function enums(writer: AvroEnum, reader: AvroEnum, at: Places): Resolution {
  const known = new Set(reader.symbols);
  const as = writer.symbols.map((symbol) => (known.has(symbol) ? symbol : reader.default));
  const missing = writer.symbols.filter((_, index) => as[index] === undefined);
  const message = `the symbols ${missing.join(', ')} are not known, and there is no default`;
  return {
    read: enumRead(writer, as),
    mismatches:
      missing.length === 0 ? [] : [mismatch('MISSING_ENUM_SYMBOLS', below(at, '/symbols'), message)],
  };
}

function relabelled(writer: AvroPrimitive | AvroFixed, reader: AvroPrimitive | AvroFixed, at: Places) {
  const [before, after] = [writer, reader].map(({ kind, logical }) =>
    logical?.name === 'decimal'
      ? `a decimal of scale ${logical.scale}`
      : (logical?.name ?? `a plain ${kind}`),
  );
  return failed(
    'LOGICAL_TYPE_CHANGED',
    below(at, '/logicalType'),
    `what was ${before} would be read as ${after}`,
  );
}

function isNamed(type: AvroType): type is AvroNamed {
  return 'name' in type;
}

/** The unqualified names are the same, or an alias of the reader is the writer's full name. */
function isSameName(writer: AvroNamed, reader: AvroNamed): boolean {
  return unqualified(writer.name) === unqualified(reader.name) || reader.aliases.includes(writer.name);
}

function rankOf(writer: AvroType, reader: AvroType): number {
  if (writer.kind !== reader.kind) return 3;
  if (!isNamed(writer) || !isNamed(reader) || writer.name === reader.name) return 0;
  return isSameName(writer, reader) ? 1 : 2;
}

function failed(code: AvroMismatchCode, at: Places, message: string): Resolution {
  const found = mismatch(code, at, message);
  return { read: failing(found), mismatches: [found] };
}

function failing({ message }: AvroMismatch): Read {
  return () => {
    throw new AvroFault(message);
  };
}

function mismatch(code: AvroMismatchCode, at: Places, message: string): AvroMismatch {
  return { code, ...at, message };
}

/** A type that is named twice has its faults twice. */
function once(mismatches: readonly AvroMismatch[]): AvroMismatch[] {
  return [...new Set(mismatches)];
}

function below({ reader, writer }: Places, part: string): Places {
  return { reader: reader + part, writer: writer + part };
}

function sizeOf(json: Json): number {
  return JSON.stringify(json).length;
}
