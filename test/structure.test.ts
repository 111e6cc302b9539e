import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  COMPOSITION,
  checkStructure,
  DIRECTION,
  FILE_LINES_MAX,
  FUNCTION_LINES_MAX,
  readSources,
  STATIONS,
} from './structure.ts';

const root = join(import.meta.dirname, '..');

describe('the structure of the repository', () => {
  it('holds', () => {
    expect(
      checkStructure(
        readSources(root, [
          'src',
          'test',
          'examples',
          'bench',
          ...(existsSync(join(root, 'console', 'src')) ? ['console/src'] : []),
        ]),
      ),
    ).toEqual([]);
  });

  it('is the one that ARCHITECTURE.md shows', () => {
    const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
    const rows = text
      .slice(text.indexOf('| module | may import |'))
      .split('\n\n')[0]!
      .split('\n')
      .slice(2)
      .map((line) => line.split('|').slice(1, 3) as [string, string]);
    const names = (cell: string) =>
      cell
        .replace(/\(.*\)/, '')
        .replace(/(?<!\/)stations/, STATIONS.join(', '))
        .split(',')
        .map((name) => name.trim());
    const shown = Object.fromEntries(
      rows.flatMap(([modules, imports]) =>
        names(modules).map((module) => [module, names(imports).filter((name) => name !== 'nothing')]),
      ),
    );
    for (const room of Object.keys(COMPOSITION))
      expect([room, shown[room]]).toEqual([room, ['everything above']]);
    for (const [module, imports] of Object.entries(DIRECTION)) {
      expect([module, [...(shown[module] ?? ['missing'])].sort()]).toEqual([module, [...imports].sort()]);
    }
  });

  it.each([
    [
      'a station that imports another',
      { 'src/events/a.ts': "import type { B } from '../models/b.ts';" },
      'events must not import models',
    ],
    [
      'a kernel that does I/O by the store',
      { 'src/kernel/a.ts': "export * from '../store/b.ts';" },
      'kernel must not import store',
    ],
    [
      'a dynamic import in the wrong direction',
      { 'src/store/a.ts': "await import('../api/b.ts');" },
      'store must not import api',
    ],
    [
      'a module that imports the composition root',
      { 'src/api/a.ts': "import { app } from '../app/app.ts';" },
      'api must not import app',
    ],
    [
      'a module that imports a station as the composition root puts it together',
      { 'src/tasks/a.ts': "import { people } from '../app/stations/people.ts';" },
      'tasks must not import app/stations',
    ],
    [
      'a module that imports the process',
      { 'src/app/a.ts': "import { main } from '../main.ts';" },
      'imports the process, src/main.ts',
    ],
    [
      'a composition root with a circle in it',
      { 'src/app/stations/a.ts': "import { app } from '../app.ts';" },
      'app/stations must not import app',
    ],
    [
      'a cycle between folders, type imports included',
      {
        'src/store/a.ts': "import type { B } from '../events/b.ts';",
        'src/events/b.ts': "import type { A } from '../store/a.ts';",
      },
      'import cycle between folders: store → events → store',
    ],
    [
      'files of one folder that load each other',
      {
        'src/store/a.ts': "import { b } from './b.ts';",
        'src/store/b.ts': "export { a } from './a.ts';",
      },
      'files that load each other: src/store/a.ts → src/store/b.ts → src/store/a.ts',
    ],
    [
      'a file that is too long',
      { 'src/api/a.ts': '\n'.repeat(FILE_LINES_MAX + 1) },
      `at most ${FILE_LINES_MAX}`,
    ],
    [
      'a function that is too long',
      { 'src/api/a.ts': `function f() {${'\n'.repeat(FUNCTION_LINES_MAX + 1)}}` },
      'f has',
    ],
    ['a bare fetch outside the guard', { 'src/api/a.ts': "fetch('http://10.0.0.1');" }, 'bare fetch'],
    [
      'a folder that the table does not know',
      { 'src/utils/a.ts': 'export const a = 1;' },
      'utils is not in the direction table',
    ],
  ])('would not hold with %s', (_, files, fault) => {
    const sources = Object.entries(files as Record<string, string>).map(([path, text]) => ({ path, text }));
    expect(checkStructure(sources).join('\n')).toContain(fault);
  });

  it('lets two files of a folder know each other by their types', () => {
    const sources = [
      { path: 'src/store/a.ts', text: "import { type B, b } from './b.ts';" },
      { path: 'src/store/b.ts', text: "import type { A } from './a.ts';" },
    ];
    expect(checkStructure(sources)).toEqual([]);
  });
});
