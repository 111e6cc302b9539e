import type { DuckDBType } from '@duckdb/node-api';

/** As RFC 3339 has them, so that they can be the time of an event. */
const RFC3339 = "'%Y-%m-%dT%H:%M:%S.%fZ'";
/** Any decimal of so many digits is written again as what it was read from by a double (DBL_DIG). */
const DOUBLE_DIGITS = 15;

/**
 * What DuckDB's `to_json` is to be given for a value, so that nothing of it is lost, however deep it lies; undefined where the value will do as it is. Times are RFC 3339; decimals that a number
 * does not keep are the texts of their digits, which `to_json` would round; bytes are their text, or base64 where they are none.
 *
 * @param sql the value
 * @example valueForJson('"when"', TIMESTAMP) // strftime("when", …)
 */
export function valueForJson(sql: string, type: DuckDBType, depth = 0): string | undefined {
  const name = type.toString();
  if (name.startsWith('TIMESTAMP') && !('valueType' in type)) return `strftime(${sql}, ${RFC3339})`;
  if ('width' in type && type.width > DOUBLE_DIGITS)
    return `case when abs(${sql}) < ${2 ** 53} and try_cast(${sql}::double as ${name}) = ${sql} then to_json(${sql}::double) else to_json(${sql}::varchar) end`;
  if (name === 'BLOB') return `coalesce(try(decode(${sql})), base64(${sql}))`;
  if ('entryNames' in type && name.startsWith('STRUCT')) return structForJson(sql, type, depth);
  if (!('valueType' in type)) return undefined;
  const one = `v${depth}`;
  if (!('keyType' in type)) {
    const inner = valueForJson(one, type.valueType, depth + 1);
    return inner && `list_transform(${sql}, lambda ${one}: ${inner})`;
  }
  const inner = valueForJson(`${one}.value`, type.valueType, depth + 1);
  const entry = `lambda ${one}: struct_pack(k := ${one}.key, v := ${inner})`;
  return inner && `map_from_entries(list_transform(map_entries(${sql}), ${entry}))`;
}

function structForJson(
  sql: string,
  { entryNames, entryTypes }: { entryNames: readonly string[]; entryTypes: readonly DuckDBType[] },
  depth: number,
): string | undefined {
  let isChanged = false;
  const members = entryNames.map((name, at) => {
    const member = `struct_extract(${sql}, ${literal(name)})`;
    const inner = valueForJson(member, entryTypes[at]!, depth);
    isChanged ||= inner !== undefined;
    return `${quoted(name)} := ${inner ?? member}`;
  });
  // A struct of nothing is another than none.
  return isChanged ? `case when ${sql} is not null then struct_pack(${members.join(', ')}) end` : undefined;
}

/** A name in SQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text in SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
