import { type Static, Type } from 'typebox';
import { AiosError } from '../kernel/errors.ts';
import type { AttributeFilter, Comparison } from '../workflow/engine/attributes.ts';
import type { RunFilters, RunStatus } from '../workflow/engine/stored-run.ts';
import { VersionNumber } from './shapes.ts';

export const RunStatusName = Type.String({
  enum: ['pending', 'running', 'waiting', 'paused', 'completed', 'failed', 'canceled'],
});

/** Which runs are meant, as a query or as part of a body. */
export const RunQuery = {
  workflow: Type.Optional(Type.String()),
  version: Type.Optional(VersionNumber),
  status: Type.Optional(RunStatusName),
  from: Type.Optional(Type.String({ format: 'date-time', description: 'Started at this time or later' })),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'Started before this time' })),
  q: Type.Optional(Type.String({ description: 'Part of the id, subject or outcome' })),
};

/** `attr.orderId=o-1`, `attr.total.gte=100`: attributes that flows declare (`document.metadata.aios.attributes`). */
export const ATTRIBUTE_QUERY = {
  '^attr\\.[A-Za-z][A-Za-z0-9_]{0,62}(\\.(gt|gte|lt|lte))?$': Type.String(),
};

const QueryObject = Type.Object(RunQuery);
type Query = Static<typeof QueryObject> & { [attribute: string]: unknown };

/** The filters that a query names. @throws AiosError `request.invalid` */
export function filtersOf({ workflow, version, status, from, to, q, ...others }: Query): RunFilters {
  const attributes = Object.entries(others).flatMap(([key, text]) => attributeFilter(key, String(text)));
  return {
    ...(workflow === undefined ? {} : { workflow }),
    ...(version === undefined ? {} : { version }),
    ...(status === undefined ? {} : { status: status as RunStatus }),
    ...(from === undefined ? {} : { sinceMs: Date.parse(from) }),
    ...(to === undefined ? {} : { untilMs: Date.parse(to) }),
    ...(q === undefined || q === '' ? {} : { text: q }),
    ...(attributes.length === 0 ? {} : { attributes }),
  };
}

function attributeFilter(key: string, text: string): AttributeFilter[] {
  const [, name, comparison = 'eq'] = key.split('.');
  if (!key.startsWith('attr.') || !name)
    throw new AiosError('request.invalid', { detail: `“${key}” is not something to search runs by.` });
  return [{ name, comparison: comparison as Comparison, text }];
}
