import { createHash } from 'node:crypto';
import { type ArrayParameters, arrayParametersOf, encodeArrays } from './array-parameters.ts';

/** A statement as it is sent. Its name is the digest of its text: the same text is parsed and planned once per connection. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

const statements = new Map<string, { name: string; arrays: ArrayParameters }>();

/** @example prepared('select $1::text[] as names', [['ann', 'bo']]) // { name: '1f0e…', values: [<Buffer …>], … } */
export function prepared(text: string, values: readonly unknown[] = []): Prepared {
  let statement = statements.get(text);
  if (statement === undefined) {
    const name = createHash('sha1').update(text).digest('hex').slice(0, 20);
    statement = { name, arrays: arrayParametersOf(text) };
    statements.set(text, statement);
  }
  const { name, arrays } = statement;
  return { name, text, values: arrays.length > 0 ? encodeArrays(arrays, values) : (values as unknown[]) };
}
