import type { Described } from './document-parts.ts';

export const KEY_TYPES = ['string', 'int64'] as const;
export type KeyType = (typeof KEY_TYPES)[number];

/** A thing that features describe, and the keys that name it. */
export interface EntityBody extends Described {
  name: string;
  joinKeys: string[];
  /** Of the join keys; one without is any text, number or boolean. */
  types?: Record<string, KeyType>;
}
