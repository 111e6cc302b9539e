import type { Queryable } from '../../store/database.ts';
import type { OnlineRow } from '../online-store.ts';
import type { KeyedRow, Page, RowSource, Wanted } from '../row-source.ts';
import type { RowView } from '../row-view.ts';

/** The rows of every batch view, whichever its source. */
export class BatchSources implements RowSource {
  readonly #tables: RowSource;
  readonly #files: RowSource;

  constructor({ tables, files }: { tables: RowSource; files: RowSource }) {
    this.#tables = tables;
    this.#files = files;
  }

  history(view: RowView, wanted: readonly Wanted[]): Promise<(OnlineRow | undefined)[]> {
    return this.#of(view).history(view, wanted);
  }

  page(tx: Queryable, view: RowView, page: Page): Promise<KeyedRow[]> {
    return this.#of(view).page(tx, view, page);
  }

  count(tx: Queryable, view: RowView, span: Pick<Page, 'fromMs' | 'toMs'>): Promise<number> {
    return this.#of(view).count(tx, view, span);
  }

  async close(): Promise<void> {
    await Promise.all([this.#tables.close?.(), this.#files.close?.()]);
  }

  #of(view: RowView): RowSource {
    return view.files ? this.#files : this.#tables;
  }
}
