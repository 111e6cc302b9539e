import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ENTRY_KINDS } from './entry-kinds.ts';

const SRC = join(import.meta.dirname, '../../../src');
/** How an entry begins wherever one is made: its kind, then its action. */
const ENTRY = /\bkind: '([a-z-]+)',\s*action\b/g;

it('the log is filtered by each kind of entry that the server makes, and by no other', () => {
  const made = new Set(
    globSync('**/*.ts', { cwd: SRC })
      .filter((path) => !/\.test\.ts$|-under-test\.ts$/.test(path))
      .flatMap((path) => [...readFileSync(join(SRC, path), 'utf8').matchAll(ENTRY)].map(([, kind]) => kind!)),
  );
  expect([...made].toSorted()).toEqual(ENTRY_KINDS.toSorted());
});
