import type { Json, JsonObject } from '../../kernel/json.ts';
import type { AttributeType, FlowAttribute } from '../language/flow.ts';
import type { Scope } from '../language/templates.ts';

/** A value of an attribute as it is kept: a text whose order is that of the values. */
export interface RunAttribute {
  readonly name: string;
  readonly type: AttributeType;
  readonly value: string;
}

export type Comparison = 'eq' | 'gt' | 'gte' | 'lt' | 'lte';

/** What a search asks of an attribute, as its caller wrote it. */
export interface AttributeFilter {
  readonly name: string;
  readonly comparison: Comparison;
  readonly text: string;
}

/** Characters of a text that it is found by: an index row must fit a third of a page, 2.7 kB of UTF-8. */
const ATTRIBUTE_CHARS_MAX = 256;

/** An attribute of this value; undefined when it has none, or none of its type. */
export function attributeOf(
  { name, type }: Pick<FlowAttribute, 'name' | 'type'>,
  value: Json,
): RunAttribute | undefined {
  if (value === null) return undefined;
  const found = type ?? typeOf(value);
  const text = encode(found, value);
  return text === undefined ? undefined : { name, type: found, value: text };
}

function typeOf(value: Json): AttributeType {
  if (typeof value === 'number') return 'number';
  return typeof value === 'boolean' ? 'boolean' : 'text';
}

function encode(type: AttributeType, value: Json): string | undefined {
  if (type === 'text') {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return text.replaceAll('\u0000', '').slice(0, ATTRIBUTE_CHARS_MAX);
  }
  if (type === 'boolean') return value === true || value === false ? String(value) : undefined;
  const number =
    typeof value === 'number' ? value : type === 'time' ? Date.parse(String(value)) : Number(value);
  return Number.isFinite(number) ? sortable(number) : undefined;
}

const bits = new DataView(new ArrayBuffer(8));
const SIGN = 1n << 63n;
const ALL = (1n << 64n) - 1n;

/** 16 hexadecimal digits in the order of the numbers: IEEE 754 doubles sort as integers once the negative ones are turned over. */
function sortable(number: number): string {
  bits.setFloat64(0, number === 0 ? 0 : number);
  const raw = bits.getBigUint64(0);
  return (raw & SIGN ? raw ^ ALL : raw | SIGN).toString(16).padStart(16, '0');
}

function numberOf(text: string): number {
  const sorted = BigInt(`0x${text}`);
  bits.setBigUint64(0, sorted & SIGN ? sorted ^ SIGN : sorted ^ ALL);
  return bits.getFloat64(0);
}

/** The value as people gave it; a time as RFC 3339. */
export function attributeValue({ type, value }: RunAttribute): Json {
  if (type === 'text') return value;
  if (type === 'boolean') return value === 'true';
  return type === 'number' ? numberOf(value) : new Date(numberOf(value)).toISOString();
}

/**
 * The kept values that a text may mean. Types are the flows' own, old versions' among them, so that a search asks for each that fits: an order number
 * `123` may be kept as a text or as a number.
 */
export function meanings({ name, comparison, text }: AttributeFilter): RunAttribute[] {
  const types: AttributeType[] = [];
  if (/^-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(text)) types.push('number');
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(Date.parse(text))) types.push('time');
  if (text === 'true' || text === 'false') types.push('boolean');
  // 9 comes before 10 for a number, and after it for a text: an order is that of the number or the time.
  if (comparison === 'eq' || types.length === 0) types.unshift('text');
  return types.flatMap(
    (type) => attributeOf({ name, type }, type === 'boolean' ? text === 'true' : text) ?? [],
  );
}

/** The attributes of a run in memory: computed at its barriers, written where they have changed. */
export class Attributes {
  readonly #declared: readonly FlowAttribute[];
  readonly #scope: Scope;
  #context: Json = null;
  /** By name, as the row has them; undefined when that is not known. */
  #written: Map<string, string | undefined> | undefined;

  /** `isNew`: the run has no attributes yet. */
  constructor(declared: readonly FlowAttribute[], scope: Scope, isNew: boolean) {
    this.#declared = declared;
    this.#scope = scope;
    this.#written = isNew ? new Map() : undefined;
  }

  /** A step has exported this. */
  exported(context: Json): void {
    this.#context = context;
  }

  /** What has changed since the last barrier: a value, or none any more. */
  take(output: Json): { set: RunAttribute[]; unset: string[] } | undefined {
    const scope = { ...this.#scope, context: this.#context, output };
    const set: RunAttribute[] = [];
    const unset: string[] = [];
    const now = new Map<string, string | undefined>();
    for (const declared of this.#declared) {
      const { name } = declared;
      const found = attributeOf(declared, computed(declared, scope));
      const text = found && `${found.type} ${found.value}`;
      now.set(name, text);
      if (this.#written?.get(name) === text && this.#written) continue;
      if (found) set.push(found);
      else unset.push(name);
    }
    this.#written = now;
    return set.length + unset.length > 0 ? { set, unset } : undefined;
  }

  /** The barrier was not written. */
  reset(): void {
    this.#written = undefined;
  }
}

function computed({ value }: FlowAttribute, scope: Scope): Json {
  try {
    return value(scope) ?? null;
  } catch {
    return null; // what it is about is not there yet
  }
}

/** Attributes as people see them, by name. */
export function attributesToJson(attributes: readonly RunAttribute[]): JsonObject {
  return Object.fromEntries(attributes.map((attribute) => [attribute.name, attributeValue(attribute)]));
}
