import type { JsonObject } from '../../kernel/json.ts';

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

/** Pairs as the object that a column keeps; a later pair of one key counts. @example keyed([{ key: 'a', value: '1' }]) // { a: '1' } */
export function keyed(pairs: readonly KeyValue[] = []): JsonObject {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value]));
}
