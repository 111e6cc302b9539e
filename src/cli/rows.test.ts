import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readRows } from './rows.ts';

async function rowsOf(name: string, text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'aios-rows-'));
  try {
    await writeFile(join(folder, name), text);
    return await readRows(join(folder, name));
  } finally {
    await rm(folder, { recursive: true });
  }
}

it('keeps whole numbers of a CSV file that a number would change as texts', async () => {
  expect(await rowsOf('a.csv', 'id,n\n9007199254740993,007\n-9007199254740994,1.5\n')).toEqual([
    { id: '9007199254740993', n: 7 },
    { id: -9007199254740994, n: 1.5 },
  ]);
});

it.each([
  ['a.json', '[{"id":1},{"id":9007199254740993}]', '/1/id: '],
  ['a.jsonl', '{"id":9007199254740993}\n', '/id: '],
])('does not read those of %s, which would be sent as others', async (name, text, place) => {
  await expect(rowsOf(name, text)).rejects.toThrow(place);
});
