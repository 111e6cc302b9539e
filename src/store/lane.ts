import type { Queryable, Statement } from './database.ts';

/**
 * One kind of row that can be written as part of a commit. A lane turns many items into one statement.
 *
 * A lane must be idempotent: when the answer to a commit is lost, the same items are written again, and that must be a
 * success. A `gate` runs before all others, in the order of the lanes, and may refuse single items; the whole commit that an
 * item belongs to then falls out and its neighbours go on.
 */
export interface Lane<Item, Result = void> {
  readonly name: string;
  readonly gate?: boolean;
  /** Lower first: fixed, so that two writers take their locks in the same order. */
  readonly order: number;
  /** Writes all items; answers one result per item, in their order, or nothing when there is none to tell. */
  write(tx: Queryable, items: readonly Item[]): Promise<readonly (Result | Refused)[] | undefined>;
  /**
   * What `write` would send, when none of it needs the answer to something before: a flush of such lanes only is one round trip, `commit` included.
   * Undefined when something must be asked first. A gate's statements must write all items or fail. After a failure nothing is written, and `write`
   * is asked: it tells what was refused.
   */
  plan?(items: readonly Item[]): Plan<Result> | undefined;
  /** Told after the commit, before the callers are: what this process just made durable. */
  committed?(items: readonly Item[], results: readonly Result[]): void;
}

/** Statements, and what their rows mean. */
export interface Plan<Result = void> {
  readonly statements: readonly Statement[];
  /** One result per item, in their order. */
  results?(rows: readonly (readonly object[])[]): readonly Result[];
}

/** What a gate answers for an item that must not be written: the error its caller gets. */
export class Refused {
  readonly error: Error;
  constructor(error: Error) {
    this.error = error;
  }
}

/** A row to be written, and how. Modules hand each other writes, so that a change and its record share a transaction. */
export interface Write<Result = unknown> {
  // biome-ignore lint/suspicious/noExplicitAny: a list of writes holds items of many types; `write()` ties each to its lane
  readonly lane: Lane<any, Result>;
  readonly item: unknown;
}

/** @example write(auditLane, entry) */
export function write<Item, Result>(lane: Lane<Item, Result>, item: Item): Write<Result> {
  return { lane, item };
}

/** A lane that can always be planned. */
export function plannedLane<Item, Result = void>(
  lane: Omit<Lane<Item, Result>, 'write' | 'plan'> & { plan(items: readonly Item[]): Plan<Result> },
): Lane<Item, Result> {
  return {
    ...lane,
    async write(tx, items) {
      const { statements, results } = lane.plan(items);
      const rows = await Promise.all(statements.map(({ text, values }) => tx.query(text, values)));
      return results?.(rows);
    },
  };
}
