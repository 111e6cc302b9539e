import { describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { DefinitionKind, Mention } from './definition-kind.ts';
import type { Definitions } from './definitions.ts';
import type { PlannedDefinition } from './project.ts';
import { warningsOf } from './project-warnings.ts';

const TEXT = 'name: page\nasks:\n  - shelf\n';

/** What is warned of when a definition mentions this, beside a shelf that is applied with some members. */
function warned(mention: Mention, members: JsonObject = { book: {} }, registered: readonly string[] = []) {
  const document = readDocument(TEXT, 'pages/page.yaml');
  const planned: PlannedDefinition = {
    ...{ kind: 'page', name: 'page', body: document.value, document },
    ...{ action: 'create', fromVersion: 0, toVersion: 1, held: new Map() },
  };
  const shelf = { name: 'shelf', body: { books: members } };
  const definitions = {
    list: (kind: string) => (kind === 'shelf' ? [shelf] : []),
    latest: (kind: string, name: string) => (kind === 'shelf' && name === 'shelf' ? shelf : undefined),
  } as unknown as Definitions;
  const kinds = [{ kind: 'page', mentions: () => [mention] }] as unknown as DefinitionKind[];
  return warningsOf([planned], { kinds, definitions, registered: () => registered });
}

describe('a plan warns', () => {
  it('of a name that nothing has, at its place, with the one that was meant', () => {
    expect(warned({ kind: 'shelf', name: 'shlef', path: '/asks/0' })).toEqual([
      {
        ...{ file: 'pages/page.yaml', line: 3, column: 5, path: '/asks/0' },
        message: 'there is no shelf “shlef” yet: define it before this is used',
        meant: '“shelf”',
      },
    ]);
  });

  it('of nothing that is applied, in the project, or registered', () => {
    expect(warned({ kind: 'shelf', name: 'shelf', path: '/asks/0' })).toEqual([]);
    expect(warned({ kind: 'page', name: 'page', path: '/asks/0' })).toEqual([]);
    expect(warned({ kind: 'author', name: 'ann', path: '/asks/0' }, {}, ['ann'])).toEqual([]);
  });

  it('of a member that what it names does not have', () => {
    const member = (name: string): Mention => ({
      kind: 'shelf',
      name: 'shelf',
      path: '/asks/0',
      member: ['books', name],
    });
    expect(warned(member('book'))).toEqual([]);
    expect(warned(member('bok'))).toMatchObject([
      { message: 'shelf “shelf” has no “bok” in its books', meant: '“book”', line: 3 },
    ]);
    expect(warned({ ...member('bok'), name: 'gone' })).toEqual([]); // that it is gone is told where it is named
  });
});
