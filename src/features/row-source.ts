import type { Queryable } from '../store/database.ts';
import type { OnlineRow } from './online-store.ts';
import type { RowView } from './row-view.ts';
import type { AsOf } from './windows/state.ts';

/** An entity whose row as of a time is wanted. */
export interface Wanted {
  /** Its keys as texts, in the order of the view's; null when the request names none. */
  readonly keys: readonly (string | null)[];
  readonly entity: string;
  readonly asOf: AsOf;
}

/** A page of the entities of a source, in the order of their keys. */
export interface Page {
  /** What came in or was closed after this; all when left out. */
  fromMs?: number | undefined;
  toMs: number;
  /** The keys after which the page begins. */
  after?: readonly string[] | undefined;
  countMax: number;
}

export type KeyedRow = OnlineRow & { keys: string[] };

/**
 * Where the rows of batch views come from. The newest row not after the time asked for counts: by the time of the row, then by when it was written,
 * then by its values as text, so that no two rows are ever equal by chance.
 */
export interface RowSource {
  /**
   * The rows of entities, each as of its own time. A key is found as the source writes it, and in no other form that its type reads (`007` is not 7, nor `A0…`
   * the UUID `a0…`): online it is that text, too.
   *
   * @throws AiosError `features.source_not_allowed`, `features.source_unfit`, `features.no_cutoff`, `features.invalid_key`
   */
  history(view: RowView, wanted: readonly Wanted[]): Promise<(OnlineRow | undefined)[]>;
  /** The entities of a page with their newest rows, and the keys after which the next page begins. */
  page(tx: Queryable, view: RowView, page: Page): Promise<KeyedRow[]>;
  /** How many entities there are to go through. */
  count(tx: Queryable, view: RowView, span: Pick<Page, 'fromMs' | 'toMs'>): Promise<number>;
  /** Lets go of what it keeps from page to page. */
  close?(): Promise<void>;
}
