/**
 * The fields of a record of CSV (RFC 4180): texts, `null` for a field that is empty and not quoted.
 *
 * @param record without its line end
 * @throws Error for a quote in the wrong place
 * @example csvFields('7,"a ""b""",', ',') // ['7', 'a "b"', null]
 */
export function csvFields(record: string, delimiter: string): (string | null)[] {
  const fields: (string | null)[] = [];
  for (let at = 0; ; at++) {
    if (record[at] !== '"') {
      const end = record.indexOf(delimiter, at);
      const text = record.slice(at, end < 0 ? undefined : end);
      fields.push(text === '' ? null : text);
      if (end < 0) return fields;
      at = end;
      continue;
    }
    let text = '';
    for (at++; ; at++) {
      const quote = record.indexOf('"', at);
      if (quote < 0) throw new Error('A quote that does not end.');
      text += record.slice(at, quote);
      at = quote + 1;
      if (record[at] !== '"') break;
      text += '"';
    }
    fields.push(text);
    if (at >= record.length) return fields;
    if (record[at] !== delimiter) throw new Error('Something stands between a quote and the delimiter.');
  }
}
