import type { Json } from '../json.ts';

/** The primitive types of Avro. */
export const PRIMITIVES = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'] as const;
export type Primitive = (typeof PRIMITIVES)[number];

/** Logical types whose values are no JSON of their base type. `uuid` on a string is one, and is left alone. */
export type Logical =
  | { readonly name: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly name: 'uuid' | 'date' | 'time-millis' | 'time-micros' | Timestamp };
export type Timestamp = `${'' | 'local-'}timestamp-${'millis' | 'micros' | 'nanos'}`;

interface Described {
  readonly doc?: string | undefined;
}

export interface AvroPrimitive {
  readonly kind: Primitive;
  readonly logical?: Logical | undefined;
}

interface Named extends Described {
  /** With its namespace. */
  readonly name: string;
  /** With their namespaces. */
  readonly aliases: readonly string[];
}

export interface AvroFixed extends Named {
  readonly kind: 'fixed';
  /** Bytes. */
  readonly size: number;
  readonly logical?: Logical | undefined;
}

export interface AvroEnum extends Named {
  readonly kind: 'enum';
  readonly symbols: readonly string[];
  /** What a reader takes a symbol for that it does not know. */
  readonly default?: string | undefined;
}

export interface AvroField extends Described {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly type: AvroType;
  /** As JSON of AIOS, not of Avro's own encoding; nothing where the field has none. */
  readonly default?: DefaultValue | undefined;
}

/** Made when all names are known. */
interface DefaultValue {
  readonly json: Json;
}

export interface AvroRecord extends Named {
  readonly kind: 'record';
  readonly fields: readonly AvroField[];
}

interface AvroArray {
  readonly kind: 'array';
  readonly items: AvroType;
}

interface AvroMap {
  readonly kind: 'map';
  readonly values: AvroType;
}

export interface AvroUnion {
  readonly kind: 'union';
  readonly branches: readonly AvroType[];
}

export type AvroNamed = AvroRecord | AvroEnum | AvroFixed;

/** A schema of Avro (1.12) with its names resolved: a type that refers to itself is a cycle of objects. */
export type AvroType = AvroPrimitive | AvroNamed | AvroArray | AvroMap | AvroUnion;

/** The part of a full name after its namespace, by which schemas are matched. */
export function unqualified(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

/** What a type is called where people read of it: `int`, `array`, `record com.acme.Order`. */
export function nameOf(type: AvroType): string {
  return 'name' in type ? `${type.kind} ${type.name}` : type.kind;
}
