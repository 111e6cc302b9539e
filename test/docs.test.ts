import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../src/kernel/error-codes.ts';
import { LIMITS } from '../src/kernel/limits.ts';
import { readSources } from './structure.ts';

const root = join(import.meta.dirname, '..');
const tableNames = (path: string) =>
  [...readFileSync(join(root, path), 'utf8').matchAll(/^\| `([^`]+)` \|/gm)].map(
    (match) => match[1] as string,
  );
const sources = readSources(root, ['src']);
const code = (except: RegExp) =>
  sources
    .filter(({ path }) => !except.test(path) && !/\.test\.ts$/.test(path))
    .map(({ text }) => text)
    .join('\n');

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(path: string): string[] {
  const headings = readFileSync(path, 'utf8').matchAll(/^#+ (.+)$/gm);
  return [...headings].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

it.each(['README.md', 'ARCHITECTURE.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)])(
  '%s links to files and headings that there are',
  (document) => {
    const links = [...readFileSync(join(root, document), 'utf8').matchAll(/\]\((?!https?:)([^)\s]+)\)/g)];
    const broken = links.filter(([, link]) => {
      const [file = '', anchor] = link!.split('#');
      const path = file === '' ? join(root, document) : join(root, dirname(document), file);
      return !existsSync(path) || (anchor !== undefined && !anchorsOf(path).includes(anchor));
    });
    expect(broken.map(([, link]) => link)).toEqual([]);
  },
);

describe('the tables in docs/', () => {
  it('explain every error code and no other', () => {
    expect(tableNames('docs/errors.md').sort()).toEqual(Object.keys(ERRORS).sort());
  });

  it('name every limit and no other', () => {
    expect(tableNames('docs/limits.md').sort()).toEqual(Object.keys(LIMITS).sort());
  });

  it('say of every table of the database what bounds it', () => {
    const created = [
      ...code(/under-test/).matchAll(/\bcreate (?:unlogged )?table (?:if not exists )?([a-z_]+)\b/g),
    ];
    // Segments of the log have names of their own (`event_batches_7`).
    const tables = new Set(created.map((match) => match[1] as string).filter((name) => !name.endsWith('_')));
    expect(tableNames('docs/storage.md').sort()).toEqual([...tables].sort());
  });

  it('hold no error code that nothing answers with', () => {
    const used = code(/kernel\/error-/);
    expect(Object.keys(ERRORS).filter((name) => !used.includes(`'${name}'`))).toEqual([]);
  });

  it('hold no limit that nothing reads', () => {
    const used = code(/kernel\/limits\.ts$/);
    expect(Object.keys(LIMITS).filter((name) => !used.includes(name))).toEqual([]);
  });
});
