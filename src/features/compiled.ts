import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { parseDuration } from '../kernel/duration.ts';
import { AiosError } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { FeatureServiceBody, FeatureViewBody } from './definitions.ts';
import type { CompiledFeature, FeatureValue } from './state.ts';

/** What the expressions of a view see; `time` is the event's, in milliseconds. */
type Scope = { event: Json; data: Json; item: Json; time: number };
type Read = (scope: Scope) => Json;

/** What one element of an event means to a view: whose it is, and the values that its features aggregate. */
export interface Extracted {
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
  /** Undefined for an exact view. */
  readonly tileMs: number | undefined;
  readonly features: readonly CompiledFeature[];
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

/** The keys of an entity as one text; null when one of them is missing. Keys are separated by a character that they cannot hold. */
export function entityKey(
  joinKeys: readonly string[],
  read: (key: string) => Json | undefined,
): string | null {
  let text = '';
  for (const [index, key] of joinKeys.entries()) {
    const value = read(key);
    if (value === null || value === undefined || value === '') return null;
    text += index === 0 ? String(value) : `\u001f${String(value)}`;
  }
  return text;
}

export function compileView(
  id: number,
  version: number,
  body: FeatureViewBody,
  joinKeys: readonly string[],
): CompiledView {
  const each = body.source.each === undefined ? undefined : reader(body.source.each);
  const where = body.source.where === undefined ? undefined : compileExpression(body.source.where);
  const keys = new Map(Object.entries(body.keys).map(([key, source]) => [key, reader(source)]));
  const missing = joinKeys.filter((key) => !keys.has(key));
  if (missing.length > 0) {
    throw new AiosError('definition.invalid', {
      detail: `Feature view “${body.name}”: no expression for the join key ${missing.join(', ')}.`,
    });
  }
  const values = Object.values(body.features).map(({ of }) => (of === undefined ? undefined : reader(of)));
  return {
    id,
    name: body.name,
    version,
    eventType: body.source.event,
    joinKeys,
    tileMs: body.tile === undefined ? undefined : parseDuration(body.tile),
    features: Object.entries(body.features).map(([name, { aggregate, of, window }]) => ({
      name,
      aggregate,
      windowMs: window === undefined ? Number.POSITIVE_INFINITY : parseDuration(window),
      hasValue: of !== undefined,
    })),
    extract({ event, timeMs }) {
      const scope: Scope = Object.assign(Object.create(null), {
        event: event as Json,
        data: event.data ?? null,
        item: null,
        time: timeMs,
      });
      const items = each ? each(scope) : [null];
      const extracted: Extracted[] = [];
      if (!Array.isArray(items)) return extracted;
      for (const [item, element] of items.entries()) {
        scope.item = element;
        if (where && where(scope) !== true) continue;
        const entity = entityKey(joinKeys, (key) => keys.get(key)!(scope));
        if (entity === null) continue;
        extracted.push({ entity, item, values: values.map((read) => toValue(read?.(scope))) });
      }
      return extracted;
    },
  };
}

function toValue(value: Json | undefined): FeatureValue {
  if (value === null || value === undefined) return null;
  return typeof value === 'object' ? JSON.stringify(value) : value;
}

/** A version of a feature service: which views it reads and how its vector is made. */
export interface CompiledService {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly views: readonly CompiledView[];
  readonly names: readonly string[];
  /** The vector, from the views' values in the order of the views. */
  vector(values: readonly (readonly FeatureValue[])[], request: JsonObject, nowMs: number): FeatureValue[];
}

export function compileService(
  body: FeatureServiceBody,
  version: number,
  digest: string,
  views: readonly CompiledView[],
): CompiledService {
  const derived = Object.entries(body.derived ?? {}).map(([name, source]) => ({
    name,
    expression: compileExpression(source),
  }));
  const base = views.flatMap((view) => view.features.map(({ name }) => name));
  const repeated = base.find((name, index) => base.indexOf(name) !== index);
  if (repeated)
    throw new AiosError('definition.invalid', {
      detail: `Feature service “${body.name}”: two of its views have a feature “${repeated}”.`,
    });
  const names = body.features ?? [...base, ...derived.map(({ name }) => name)];
  const known = new Set([...base, ...derived.map(({ name }) => name)]);
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0)
    throw new AiosError('definition.reference', {
      detail: `Feature service “${body.name}”: there is no feature ${unknown.join(', ')}.`,
    });
  return {
    name: body.name,
    version,
    digest,
    views,
    names,
    vector(values, request, nowMs) {
      const scope: Record<string, FeatureValue | Json> = Object.assign(Object.create(null), request, {
        now: nowMs,
      });
      for (const [index, view] of views.entries()) {
        for (const [at, { name }] of view.features.entries())
          scope[name] = values[index]![at] ?? body.defaults?.[name] ?? null;
      }
      for (const { name, expression } of derived)
        scope[name] = (expression(scope) as FeatureValue) ?? body.defaults?.[name] ?? null;
      return names.map((name) => (scope[name] ?? null) as FeatureValue);
    },
  };
}
