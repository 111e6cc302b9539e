import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { valueFault } from './value-fault.ts';

describe('values that Postgres refuses', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase([]);
  });
  afterAll(() => database.close());
  const refused = (text: string, value: unknown) =>
    database.db.query(text, [value]).then(
      () => undefined,
      (error: unknown) => valueFault(error),
    );

  it.each([
    ['a number past 32 bits', 'select $1::int as v', 99_999_999_999_999],
    ['a number past 64 bits', 'select $1::bigint as v', '9'.repeat(30)],
    ['no number', 'select $1::int as v', '1e308'],
    ['a NUL in a text', 'select $1::text as v', 'a\u0000'],
    ['a NUL in a document', 'select $1::jsonb as v', JSON.stringify({ a: '\u0000' })],
    ['a text that is no document', 'select $1::jsonb as v', '{'],
  ])('are faults of the request: %s', async (_name, text, value) => {
    expect((await refused(text, value))?.code).toBe('request.invalid');
  });

  it('are told from faults of the statement and of AIOS', async () => {
    expect(await refused('select $1::int from nothing', 1)).toBeUndefined();
    for (const other of [undefined, null, 'x', new Error('x'), { code: 22003 }])
      expect(valueFault(other)).toBeUndefined();
  });
});
