import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const FOLDER = join(ROOT, 'conformance', 'ows');
const TABLE = readFileSync(join(FOLDER, 'README.md'), 'utf8').split('## What covers each property')[1] ?? '';

/** `for`: each item … · `src/….test.ts`: a title. */
const PLACE = /`([\w./-]+)`: ([^|]+?)(?:\)$|$)/;

function rows(): { property: string; covered: string }[] {
  return TABLE.split('\n').flatMap((line) => {
    const [, section, property, covered] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    if (!covered || section === 'section' || /^-+$/.test(section!)) return [];
    return [{ property: `${section}: ${property}`, covered }];
  });
}

const names = new Map<string, readonly string[]>();

function namesIn(file: string): readonly string[] {
  let found = names.get(file);
  if (!found) {
    const cases = parse(readFileSync(join(FOLDER, `${file}.yaml`), 'utf8')) as { name: string }[];
    found = cases.map(({ name }) => name);
    names.set(file, found);
  }
  return found;
}

/** What a row names and there is not. */
function missing({ property, covered }: { property: string; covered: string }): string[] {
  const [, file, name] = PLACE.exec(covered) ?? [];
  if (file === undefined) return /^(refused|differs): \w/.test(covered) ? [] : [`${property}: ${covered}`];
  if (file.startsWith('src/'))
    return existsSync(join(ROOT, file)) && readFileSync(join(ROOT, file), 'utf8').includes(name!)
      ? []
      : [`${property}: ${file} has no “${name}”`];
  return namesIn(file).includes(name!) ? [] : [`${property}: ${file}.yaml has no case “${name}”`];
}

it('names a case that there is for every property of the specification, or says why not', () => {
  const found = rows();
  expect(found.length).toBeGreaterThan(200);
  expect(found.flatMap(missing)).toEqual([]);
  const properties = found.map(({ property }) => property);
  expect(properties).toEqual([...new Set(properties)]);
});

it('leaves no file of cases out', () => {
  const files = readdirSync(FOLDER).flatMap((name) => (name.endsWith('.yaml') ? [name.slice(0, -5)] : []));
  for (const file of files) expect(TABLE).toContain(`\`${file}\`: `);
});
