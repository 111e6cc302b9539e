import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { compareArrays } from './arrays.ts';
import { compareAlternatives, compareNegation, isTaken, splits } from './combined.ts';
import type { FindingCode, Refused } from './finding.ts';
import { itemOf, propertyOf } from './members.ts';
import type { SchemaNode } from './node.ts';
import { compareObjects } from './objects.ts';
import { isSame } from './same.ts';
import { compareNumbers, compareStrings, type Say } from './scalars.ts';
import { type Conjunction, fewValues, gather, type Shape, settle, typesNamed } from './shape.ts';

const STEPS_MAX = 20_000;
/** Findings that go away where a writer is looked at case by case. */
const NEED_CASES: ReadonlySet<FindingCode> = new Set([
  'SUM_TYPE_NARROWED',
  'NOT_TYPE_EXTENDED',
  'UNEVALUATED_PROPERTIES_NARROWED',
  'PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL',
]);
const SPLIT_DEPTH_MAX = 4;
const NEVER_DEPTH_MAX = 6; // how deep required members are asked whether they can be at all

/** What the comparisons of single keywords ask of the whole. */
export interface Checker {
  /** True while a writer is taken to write none but declared properties. */
  readonly isLenient: boolean;
  /** Where a reader refuses the same value. */
  include(writer: Conjunction, reader: SchemaNode): Refused[];
  /** Where a reader refuses a member (a property, an item); `isStrict` leaves no leniency. */
  member(writer: Conjunction, reader: SchemaNode, isStrict?: boolean): Refused[];
  /** True when no value can be shown to fit: false says nothing. */
  isNever(conjunction: Conjunction): boolean;
  /** As `include`, without looking at the writer case by case: who asks does that. */
  directly(writer: Conjunction, reader: SchemaNode): Refused[];
  /** True when all that fits `narrow` fits `wide`. */
  covers(narrow: SchemaNode, wide: SchemaNode): boolean;
  /** Runs what goes down a reference, which may come round; answers nothing past the bound. */
  deeper(enter: () => void): void;
}

interface Pending {
  readonly level: number;
  readonly place: number;
}

/**
 * Decides whether every value that a writer's schema allows is allowed by a reader's (JSON Schema 2020-12). What it finds nothing in is
 * included, but for open content models when it is lenient; what it finds may still be included where the code of the finding says that it is not certain.
 * Recursive schemas are compared as they unfold: a pair of places that comes again below a member is taken to hold, which is right for
 * values of finite depth.
 */
class Inclusion implements Checker {
  isLenient: boolean;
  #steps = 0;
  /** How many members deep. */
  #level = 0;
  #splitDepth = 0;
  #neverDepth = 0;
  #referenceDepth = 0;
  readonly #pending = new Map<string, Pending>();
  /** The lowest place in `#pending` that a result since then leans on. */
  #leansOn = Number.POSITIVE_INFINITY;
  readonly #known = new Map<string, Refused[]>();
  readonly #shapes = new Map<string, Shape>();
  readonly #nevers = new Map<string, { isNever: boolean; depth: number }>();

  constructor(isLenient: boolean) {
    this.isLenient = isLenient;
  }

  include(writer: Conjunction, reader: SchemaNode): Refused[] {
    if (reader.schema === true) return [];
    if (++this.#steps > STEPS_MAX)
      return [refused('TOO_COMPLEX', reader, writer.positive[0], '', 'the comparison gave up')];
    const key = `${this.isLenient ? 'l' : 's'}|${keyOf(writer)}|${reader.id}`;
    const known = this.#known.get(key);
    if (known) return known;
    const pending = this.#pending.get(key);
    if (pending) {
      if (pending.level === this.#level)
        return [refused('TOO_COMPLEX', reader, writer.positive[0], '', 'a reference leads to itself')];
      this.#leansOn = Math.min(this.#leansOn, pending.place);
      return [];
    }
    const place = this.#pending.size;
    const leantOn = this.#leansOn;
    this.#leansOn = Number.POSITIVE_INFINITY;
    this.#pending.set(key, { level: this.#level, place });
    const found = this.#compare(writer, reader);
    this.#pending.delete(key);
    // What leans on a pair further up holds only if that one does.
    if (found.length > 0 ? this.#splitDepth === 0 : this.#leansOn >= place) this.#known.set(key, found);
    this.#leansOn = Math.min(leantOn, this.#leansOn >= place ? Number.POSITIVE_INFINITY : this.#leansOn);
    return found;
  }

  member(writer: Conjunction, reader: SchemaNode, isStrict = false): Refused[] {
    const [lenient, depth] = [this.isLenient, this.#splitDepth];
    this.#level++;
    this.#splitDepth = 0;
    if (isStrict) this.isLenient = false;
    const found = this.include({ positive: writer.positive, negative: writer.negative }, reader);
    this.isLenient = lenient;
    this.#splitDepth = depth;
    this.#level--;
    return found;
  }

  covers(narrow: SchemaNode, wide: SchemaNode): boolean {
    return this.member({ positive: [narrow], negative: [] }, wide, true).length === 0;
  }

  isNever(conjunction: Conjunction): boolean {
    if (conjunction.positive.length === 0 && conjunction.negative.length === 0) return false;
    if (this.#neverDepth >= NEVER_DEPTH_MAX || ++this.#steps > STEPS_MAX) return false;
    const key = keyOf(conjunction);
    const known = this.#nevers.get(key);
    // What was looked into from higher up was looked into further.
    if (known && (known.isNever || known.depth <= this.#neverDepth)) return known.isNever;
    const { isLenient } = this;
    const leantOn = this.#leansOn;
    this.#leansOn = Number.POSITIVE_INFINITY;
    this.isLenient = false;
    this.#neverDepth++;
    const shape = this.#shapeOf(conjunction);
    const isNever =
      shape.isImpossible ||
      (this.#neverDepth === 1 &&
        (shape.negative.some((negative) => this.#isWithin(shape, negative)) || this.#hasNoCase(shape)));
    this.#neverDepth--;
    this.isLenient = isLenient;
    if (!isNever || this.#leansOn === Number.POSITIVE_INFINITY)
      this.#nevers.set(key, { isNever, depth: this.#neverDepth });
    this.#leansOn = Math.min(leantOn, this.#leansOn);
    return isNever;
  }

  directly(writer: Conjunction, reader: SchemaNode): Refused[] {
    const depth = this.#splitDepth;
    this.#splitDepth = SPLIT_DEPTH_MAX;
    const found = this.include(writer, reader);
    this.#splitDepth = depth;
    return found;
  }

  deeper(enter: () => void): void {
    if (this.#referenceDepth >= NEVER_DEPTH_MAX) return;
    this.#referenceDepth++;
    enter();
    this.#referenceDepth--;
  }

  /** By what fits alone: with what does not fit, as many negatives would be asked in every order. */
  #isWithin(shape: Shape, negative: SchemaNode): boolean {
    return this.directly({ positive: shape.conjunction.positive, negative: [] }, negative).length === 0;
  }

  #hasNoCase(shape: Shape): boolean {
    return shape.alternatives.some(
      ({ cases, owner }) =>
        !isTaken(shape.conjunction, cases) &&
        cases.every((one) =>
          this.isNever({
            positive: [...shape.nodes.filter((node) => node !== owner), ...one.positive],
            negative: [...shape.conjunction.negative, ...one.negative],
          }),
        ),
    );
  }

  /** By how deep it is asked for, too: further down less is looked into. Nobody changes a shape that was settled. */
  #shapeOf(conjunction: Conjunction): Shape {
    const key = `${this.#neverDepth}|${keyOf(conjunction)}`;
    const known = this.#shapes.get(key);
    if (known) return known;
    const leantOn = this.#leansOn;
    this.#leansOn = Number.POSITIVE_INFINITY;
    const shape = gather(conjunction);
    this.#settle(shape);
    if (this.#leansOn === Number.POSITIVE_INFINITY) this.#shapes.set(key, shape);
    this.#leansOn = Math.min(leantOn, this.#leansOn);
    return shape;
  }

  /** With what members say: an object whose required property cannot be is none. */
  #settle(shape: Shape): void {
    settle(shape);
    if (shape.values) {
      shape.values = shape.values.filter((value) => fits(shape.conjunction, value));
      if (shape.values.length === 0) shape.isImpossible = true;
      return;
    }
    if (
      shape.types.has('object') &&
      [...shape.required].some((name) => this.isNever(propertyOf(shape, name)))
    )
      shape.types.delete('object');
    if (shape.types.has('array')) {
      const places = Array.from({ length: Math.min(shape.minItems, 8) }, (_, index) => index);
      if (places.some((index) => this.isNever(itemOf(shape, index)))) shape.types.delete('array');
    }
    if (shape.types.size === 0) shape.isImpossible = true;
  }

  #compare(writer: Conjunction, reader: SchemaNode): Refused[] {
    if (this.isNever(writer)) return [];
    const shape = this.#shapeOf(writer);
    if (!isObject(reader.schema))
      return [refused('FORBIDDEN', reader, writer.positive[0], '', 'nothing is allowed here')];
    if (shape.nodes.some((node) => isSame(node, reader))) return [];
    if (shape.values) return refusedValues(shape, reader, shape.values);
    const found = this.#keywords(shape, reader);
    if (found.length === 0) return found;
    const few = fewValues(shape)?.filter((value) => fits(shape.conjunction, value));
    if (few?.every((value) => reader.document.accepts(reader, value))) return [];
    if (this.#splitDepth >= SPLIT_DEPTH_MAX) return found;
    return this.#bySplitting(shape, reader, found);
  }

  /** The writer case by case: what it says as a whole may be less than what each of its cases says. */
  #bySplitting(shape: Shape, reader: SchemaNode, found: Refused[]): Refused[] {
    this.#splitDepth++;
    let best = found;
    const needsCases =
      'if' in (reader.schema as JsonObject) || found.some(({ code }) => NEED_CASES.has(code));
    for (const { cases, isOwn } of splits(shape, this.#splitDepth === 1)) {
      if (!isOwn && !needsCases) break;
      const results = cases.map((one) => this.include(one, reader));
      const left = unique(results.flat());
      if (left.length === 0) {
        best = [];
        break;
      }
      if (isOwn && best === found && !left.some(({ code }) => code === 'TOO_COMPLEX')) best = left;
    }
    this.#splitDepth--;
    return best;
  }

  #keywords(shape: Shape, reader: SchemaNode): Refused[] {
    const schema = reader.schema as JsonObject;
    const { document } = reader;
    const found: Refused[] = [];
    const say: Say = (code, keyword, message) =>
      found.push(refused(code, reader, shape.nodes[0], keyword, message));
    if (schema.type !== undefined) {
      const gone = [...shape.types].filter((type) => !typesNamed(schema).has(type));
      if (gone.length > 0) say('TYPE_NARROWED', 'type', `${typeWords(gone)} is refused`);
    }
    for (const keyword of ['enum', 'const'])
      if (schema[keyword] !== undefined)
        say('ENUM_ARRAY_NARROWED', keyword, 'all but the listed values are refused');
    if (typeof schema.$ref === 'string') {
      const target = document.resolve(schema.$ref);
      if (target) found.push(...this.include(shape.conjunction, target));
      else say('REFERENCE_UNRESOLVED', '$ref', `what ${schema.$ref} names cannot be compared`);
    }
    if (typeof schema.$dynamicRef === 'string')
      say('REFERENCE_UNRESOLVED', '$dynamicRef', 'a dynamic reference cannot be compared');
    if (Array.isArray(schema.allOf))
      for (const index of schema.allOf.keys())
        found.push(...this.include(shape.conjunction, document.child(reader, 'allOf', index)));
    compareNumbers(shape, schema, say);
    compareStrings(shape, schema, say);
    found.push(...compareArrays(this, shape, reader, say), ...compareObjects(this, shape, reader, say));
    found.push(...compareAlternatives(this, shape, reader), ...compareNegation(this, shape, reader));
    return found;
  }
}

/** A finding at a keyword of a reader. */
function refused(
  code: FindingCode,
  reader: SchemaNode,
  writer: SchemaNode | undefined,
  keyword: string,
  message: string,
): Refused {
  return { code, reader, writer, keyword, message };
}

function refusedValues(shape: Shape, reader: SchemaNode, values: readonly Json[]): Refused[] {
  const found = values.flatMap((value) => {
    const refusal = reader.document.refusal(reader, value);
    if (!refusal) return [];
    const isListed = refusal.keyword === 'enum' || refusal.keyword === 'const';
    const code = isListed
      ? 'ENUM_ARRAY_NARROWED'
      : refusal.keyword === 'type'
        ? 'TYPE_NARROWED'
        : 'VALUE_REFUSED';
    const keyword = refusal.pointer.startsWith(`${reader.pointer}/`)
      ? refusal.pointer.slice(reader.pointer.length + 1)
      : refusal.keyword;
    return [refused(code, reader, shape.nodes[0], keyword, `${JSON.stringify(value)} is refused`)];
  });
  return found.slice(0, 20); // one for each value that went; a list of thousands tells nothing more
}

function fits({ positive, negative }: Conjunction, value: Json): boolean {
  return (
    positive.every((node) => node.document.accepts(node, value) !== false) &&
    negative.every((node) => node.document.accepts(node, value) !== true)
  );
}

function keyOf({ positive, negative }: Conjunction): string {
  const ids = (nodes: readonly SchemaNode[]) =>
    [...new Set(nodes.map(({ id }) => id))].sort((a, b) => a - b).join(',');
  return `${ids(positive)}!${ids(negative)}`;
}

function unique(found: readonly Refused[]): Refused[] {
  const seen = new Map(
    found.map((one) => [`${one.code} ${one.reader.id} ${one.keyword} ${one.message}`, one]),
  );
  return [...seen.values()];
}

function typeWords(types: readonly string[]): string {
  if (types.includes('integer') && types.includes('fraction'))
    return [...types.filter((type) => type !== 'integer' && type !== 'fraction'), 'number'].join(', ');
  return types.map((type) => (type === 'fraction' ? 'number' : type)).join(', ');
}

/** Whether all that fits one schema fits another; strict: an open object may hold any further property. */
export function inclusionFindings(writer: SchemaNode, reader: SchemaNode, isLenient: boolean): Refused[] {
  return unique(new Inclusion(isLenient).include({ positive: [writer], negative: [] }, reader));
}
