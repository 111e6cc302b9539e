import { type TProperties, type TSchema, Type } from 'typebox';

/** Shapes that many routes share. Times are RFC 3339 texts in JSON. */
export const AnyObject = Type.Object({}, { additionalProperties: true });
export const NameParams = Type.Object({ name: Type.String({ minLength: 1 }) });
export const IdParams = Type.Object({ id: Type.String({ minLength: 1 }) });

/** The number of a version, as it is kept: 32 bits. */
export const VersionNumber = Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 });

const PAGE_COUNT_MAX = 500;

/** The query of a list: its filters, the cursor that the last page gave, and how many items at most. */
export function pageQuery<Filters extends TProperties>(
  filters: Filters,
  patterns?: { [pattern: string]: TSchema },
) {
  return Type.Object(
    {
      ...filters,
      cursor: Type.Optional(Type.String()),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_COUNT_MAX, default: 50 })),
    },
    { additionalProperties: false, ...(patterns ? { patternProperties: patterns } : {}) },
  );
}

export function pageOf<Item extends TSchema>(item: Item) {
  return Type.Object({ items: Type.Array(item), nextCursor: Type.Union([Type.String(), Type.Null()]) });
}

/** Milliseconds since the epoch as JSON shows them. */
export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

export function isoOrUndefined(ms: number | null | undefined): string | undefined {
  return ms === null || ms === undefined ? undefined : iso(ms);
}
