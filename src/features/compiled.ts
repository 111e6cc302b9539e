import { digestOf } from '../kernel/canonical.ts';
import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { parseDuration } from '../kernel/duration.ts';
import { AiosError } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { EntityBody, KeyType } from './entity.ts';
import type { StreamViewBody } from './view-documents.ts';
import type { Aggregate, CompiledFeature, FeatureValue } from './windows/state.ts';
import { type TilePlan, tilePlan } from './windows/tile.ts';

/** What the expressions of a view see; `time` is the event's, in milliseconds. */
type Scope = { event: Json; data: Json; item: Json; time: number };
type Read = (scope: Scope) => Json;

/** What one element of an event means to a view: whose it is, and the values that its features aggregate. */
interface Extracted {
  readonly entity: string;
  readonly item: number;
  readonly values: FeatureValue[];
}

/** A version of a feature view, ready to work on events. */
export interface CompiledView {
  readonly id: number;
  readonly name: string;
  readonly version: number;
  readonly eventType: string;
  readonly joinKeys: readonly string[];
  readonly keyTypes: EntityBody['types'];
  /** Undefined for an exact view. */
  readonly plan: TilePlan | undefined;
  /** How late an event may come, by its time and that of its recording; undefined when it may come at any time. */
  readonly latenessMs: number | undefined;
  /** What becomes of one that comes later. */
  readonly late: 'drop' | 'dead-letter';
  readonly features: readonly CompiledFeature[];
  /** How far before its time a vector looks back: the longest window with its lateness; infinite when a feature has no window. */
  readonly reachMs: number;
  /** How long before now vectors of the past may be asked for; undefined for the limit of the installation. */
  readonly retentionMs: number | undefined;
  extract(logged: LoggedEvent): Extracted[];
}

const PATH = /^(event|data|item)(\.[A-Za-z_][A-Za-z0-9_]*)+$/;

/** A plain member path reads in 20 ns where CEL takes 400; whatever is more than that is CEL. */
function reader(source: string): Read {
  if (source === 'time') return (scope) => scope.time;
  if (!PATH.test(source)) {
    const expression = compileExpression(source);
    return (scope) => expression(scope);
  }
  const [root, ...members] = source.split('.') as [keyof Scope, ...string[]];
  return (scope) => {
    let value: Json | undefined = scope[root];
    for (const member of members) {
      if (value === null || typeof value !== 'object') return null;
      value = Object.hasOwn(value, member) ? (value as JsonObject)[member] : undefined;
      if (value === undefined) return null;
    }
    return value;
  };
}

/** Of an event that is not taken apart. */
const ONE_ITEM: readonly Json[] = [null];

const SEPARATOR = '\u001f';
/** What a key may not hold as it is: the separator, what escapes it, and what Postgres refuses in a text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters meant
const ESCAPED = /[\u0000\u001b\u001f]/;
const EACH_ESCAPED = new RegExp(ESCAPED, 'g');

function escaped(text: string): string {
  return text.replace(EACH_ESCAPED, (character) => `\u001b${character.charCodeAt(0)};`);
}

/**
 * The keys of an entity as one text; null when one of them is missing. Different keys give different texts.
 *
 * @throws AiosError `features.invalid_key` when one is an object or a list, a whole number past 2^53, or not of the type that the entity declares
 */
export function entityKey(
  view: string,
  joinKeys: readonly string[],
  read: (key: string) => Json | undefined,
  types?: Readonly<Record<string, KeyType>>,
): string | null {
  let text = '';
  for (let index = 0; index < joinKeys.length; index++) {
    const key = joinKeys[index]!;
    const value = read(key);
    if (value === null || value === undefined || value === '') return null;
    if (typeof value === 'object') {
      throw new AiosError('features.invalid_key', {
        detail: `The view “${view}”: the join key ${key} is ${Array.isArray(value) ? 'a list' : 'an object'}.`,
      });
    }
    if (types !== undefined) checkKey(view, key, types[key], value);
    // Its last digits were lost when its JSON was read: two customers would be one.
    if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
      throw new AiosError('features.invalid_key', {
        detail: `The view “${view}”: the join key ${key} is a number past 2^53 (${value}), whose last digits JSON does not keep; send it as text.`,
      });
    }
    const whole = keyText(value, types?.[key]);
    const part = ESCAPED.test(whole) ? escaped(whole) : whole; // looked for first: a replacement of nothing takes three times as long
    text += index === 0 ? part : SEPARATOR + part;
  }
  return text;
}

/** A key as text: one entity has one, however its key was written. @example keyText('007', 'int64') // '7' */
export function keyText(value: Json, type: KeyType | undefined): string {
  return type === 'int64' ? wholeNumber(value) : String(value);
}

/** `007` and `-0` are 7 and 0, as a table of numbers has them. */
function wholeNumber(value: Json): string {
  const text = String(value);
  return /^-?0./.test(text) || text === '-0' ? String(BigInt(text)) : text;
}

/** A key that comes as a number or as its digits is the same key. */
function checkKey(view: string, key: string, type: KeyType | undefined, value: Json): void {
  const isFit =
    type === undefined || (type === 'string' ? typeof value === 'string' : isInt64(String(value)));
  if (!isFit) {
    throw new AiosError('features.invalid_key', {
      detail: `The view “${view}”: the join key ${key} is of type ${type} and was given ${JSON.stringify(value).slice(0, 100)}.`,
    });
  }
}

/** As a table has them: of a longer number it says that it is none, and so does `online`. */
function isInt64(text: string): boolean {
  if (!/^-?\d{1,19}$/.test(text)) return false;
  return text.length < 19 || BigInt.asIntN(64, BigInt(text)) === BigInt(text);
}

export function compileView(
  id: number,
  version: number,
  body: StreamViewBody,
  { joinKeys, types }: Pick<EntityBody, 'joinKeys' | 'types'>,
): CompiledView {
  const each = body.source.each === undefined ? undefined : reader(body.source.each);
  const where = body.source.where === undefined ? undefined : compileExpression(body.source.where);
  const keys = new Map(Object.entries(body.keys).map(([key, source]) => [key, reader(source)]));
  const values = Object.entries(body.features).map(([name, { of, aggregate }]) =>
    valueReader(`${body.name}.${name}`, of, NUMERIC.has(aggregate)),
  );
  const latenessMs = body.lateness === undefined ? undefined : parseDuration(body.lateness);
  const features = Object.entries(body.features).map(([name, { aggregate, of, window, windowType }]) => ({
    name,
    aggregate,
    windowMs: boundOf(window ?? body.ttl),
    tumbling: windowType === 'tumbling',
    hasValue: of !== undefined,
  }));
  return {
    id,
    name: body.name,
    version,
    eventType: body.source.event,
    joinKeys,
    keyTypes: types,
    plan: body.tile === undefined ? undefined : tilePlan(parseDuration(body.tile), latenessMs ?? 0, features),
    latenessMs,
    late: body.late ?? 'drop',
    features,
    reachMs: reachOf(features, (body.tile === undefined ? 0 : parseDuration(body.tile)) + (latenessMs ?? 0)),
    retentionMs: body.retention === undefined ? undefined : parseDuration(body.retention),
    extract({ event, timeMs }) {
      const scope: Scope = { event: event as Json, data: event.data ?? null, item: null, time: timeMs };
      const items = each ? each(scope) : ONE_ITEM;
      const extracted: Extracted[] = [];
      if (!Array.isArray(items)) return extracted;
      for (let item = 0; item < items.length; item++) {
        scope.item = items[item]!;
        if (where && where(scope) !== true) continue;
        const entity = entityKey(body.name, joinKeys, (key) => keys.get(key)?.(scope), types);
        if (entity !== null) extracted.push({ entity, item, values: values.map((read) => read(scope)) });
      }
      return extracted;
    },
  };
}

/**
 * What the state of a stream view is made by, as a short text: versions with the same one share their state. Another description, owner or tag changes nothing
 * of it, nor do words for what holds anyway (`windowType: sliding`, `24h` for `1d`). The order of its features does: that of the values in its rows.
 *
 * @example stateMeaningOf(body) === stateMeaningOf({ ...body, owner: 'sales' }) // true
 */
export function stateMeaningOf(body: StreamViewBody): string {
  const { entity, source, keys, tile, lateness, late = 'drop', retention, ttl, features } = body;
  const ms = (duration: string | undefined) => (duration === undefined ? null : parseDuration(duration));
  const meaning = {
    ...{ entity, source, keys, tile: ms(tile), lateness: ms(lateness), late, retention: ms(retention) },
    features: Object.entries(features).map(([name, { aggregate, of = null, window, windowType }]) => [
      ...[name, aggregate, of, ms(window ?? ttl), windowType ?? 'sliding'],
    ]),
  };
  return digestOf(meaning as unknown as JsonObject).slice('sha256:'.length, 'sha256:'.length + 16);
}

/** A tumbling window may have ended as long ago as it lasts. */
function reachOf(features: readonly CompiledFeature[], moreMs: number): number {
  const windows = features.map(({ windowMs, tumbling }) => (tumbling ? 2 * windowMs : windowMs));
  return Math.max(0, ...windows) + moreMs;
}

/** Without one: all history. */
function boundOf(duration: string | undefined): number {
  return duration === undefined ? Number.POSITIVE_INFINITY : parseDuration(duration);
}

const NUMERIC: ReadonlySet<Aggregate> = new Set(['sum', 'mean', 'min', 'max', 'stddev']);

/** What a feature aggregates of one element: null when there is nothing. A number that JSON cannot hold counts as nothing, and -0, which it holds as 0, as that. */
function valueReader(
  feature: string,
  of: string | undefined,
  numeric: boolean,
): (scope: Scope) => FeatureValue {
  if (of === undefined) return () => null;
  const read = reader(of);
  return (scope) => {
    const value = read(scope);
    if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : null;
    if (value === null) return null;
    if (numeric) {
      if (typeof value === 'boolean') return value ? 1 : 0;
      throw new AiosError('features.not_a_number', {
        detail: `The feature ${feature}: “${of}” gave ${JSON.stringify(value).slice(0, 100)}.`,
      });
    }
    return typeof value === 'object' ? JSON.stringify(value) : value;
  };
}
