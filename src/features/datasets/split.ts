import { hash } from 'node:crypto';
import { canonicalize } from '../../kernel/canonical.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { keyText } from '../compiled.ts';
import type { KeyType } from '../entity.ts';
import { literal } from '../offline/duckdb.ts';
import type { SplitBody } from './dataset-kind.ts';

/**
 * Which part a row comes into, by the first 32 bits of the SHA-256 of its keys: rows of the same entities come into one part, in every
 * version of the dataset, whether a key is written as a number or as its digits.
 *
 * @example partByHash({ by: 'hash', train: 0.8, test: 0.2 }, new Map([['customer', 'string']]), { customer: 'c-1' }) // 'train'
 */
export function partByHash(
  { train, valid = 0, on, seed = '' }: SplitBody,
  joinKeys: ReadonlyMap<string, KeyType | undefined>,
  row: JsonObject,
): 'train' | 'valid' | 'test' {
  const keys = (on ?? [...joinKeys.keys()]).map((key): Json => {
    const value = row[key] ?? null;
    return value === null || !joinKeys.has(key) ? value : keyText(value, joinKeys.get(key));
  });
  const digest = hash('sha256', `${seed}${canonicalize(keys)}`, 'hex');
  const share = Number.parseInt(digest.slice(0, 8), 16) / 2 ** 32;
  if (share < train) return 'train';
  return share < train + valid ? 'valid' : 'test';
}

/**
 * SQL that names the part of a row by its time: the first times are for training, the last for the test. Rows of one time come into one part, so
 * that nothing in a part is older than anything in the part before it.
 *
 * @param time SQL of the time column
 * @param table the rows, which are read once more for the two bounds
 */
export function partByTime({ train, valid = 0 }: SplitBody, time: string, table: string): string {
  const bound = (share: number) =>
    share <= 0
      ? `(select min(${time}) from ${table})`
      : share >= 1
        ? "'infinity'::timestamptz"
        : `(select min(${time}) from (select ${time}, row_number() over (order by ${time}) as place, count(*) over () as number from ${table}) where place > ${share} * number)`;
  return `case when ${time} < ${bound(train)} then ${literal('train')} when ${time} < ${bound(train + valid)} then ${literal('valid')} else ${literal('test')} end`;
}
