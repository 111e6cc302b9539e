/** A text cut shorter tells nothing. */
const CHARS_MIN = 10;
const GAP = 2;

/** Of a table of more columns than this the cells are cut: two are names with what is said of each. */
const WHOLE_COLUMNS = 2;

interface Fitted {
  /** Places and widths of the columns that are shown. */
  readonly columns: readonly { readonly at: number; readonly width: number }[];
  /** Headings of those that are left out. */
  readonly leftOut: readonly string[];
}

/**
 * The columns of a table in so many characters. The longest texts are cut first, then the last columns are left out.
 *
 * @param widths of each column, its heading and its longest cell
 * @param isCut whether the cells of a column may be cut
 * @example fittedColumns(['id', 'text'], [30, 90], [false, true], 80).columns // [{ at: 0, width: 30 }, { at: 1, width: 48 }]
 */
export function fittedColumns(
  headings: readonly string[],
  widths: readonly number[],
  isCut: readonly boolean[],
  charsMax: number,
): Fitted {
  const all = widths.map((width, at) => ({ at, width }));
  if (headings.length <= WHOLE_COLUMNS) return { columns: all, leftOut: [] };
  for (let shown = headings.length; ; shown--) {
    const columns = all.slice(0, shown).map((column) => ({ ...column }));
    let over = columns.reduce((sum, { width }) => sum + width + GAP, -GAP) - charsMax;
    while (over > 0) {
      const longest = columns
        .filter(({ at, width }) => isCut[at] && width > Math.max(CHARS_MIN, headings[at]!.length))
        .sort((a, b) => b.width - a.width)[0];
      if (longest === undefined) break;
      longest.width--;
      over--;
    }
    if (over <= 0 || shown <= WHOLE_COLUMNS) return { columns, leftOut: headings.slice(shown) };
  }
}
