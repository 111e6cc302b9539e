import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError } from '../kernel/errors.ts';
import type { Action } from './command-row.ts';
import { EXIT, print } from './output.ts';

/** The project that a first one is a copy of; its tests are those of this repository. */
const FIRST_PROJECT = join(import.meta.dirname, '..', '..', 'examples', 'expenses');

/** Makes a small project that runs, in a folder that is empty or not there yet. */
export const init: Action = async (options, [folder = '.']) => {
  await mkdir(folder, { recursive: true });
  const there = (await readdir(folder)).filter((name) => !name.startsWith('.'));
  if (there.length > 0)
    throw new AiosError('request.invalid', {
      detail: `${folder} is not empty (${there.slice(0, 3).join(', ')}${there.length > 3 ? ' …' : ''}): name a new folder.`,
    });
  await cp(FIRST_PROJECT, folder, { recursive: true });
  print({ folder }, options.json, () =>
    [
      `A project is now in ${folder}; its README.md explains the files and what to try. Next:`,
      `  npx aios workflows test ${shellWord(folder)}`,
      `  npx aios apply ${shellWord(folder)}`,
      `  npx aios run expenses --event ${shellWord(`@${join(folder, 'small.json')}`)}`,
    ].join('\n'),
  );
  return EXIT.ok;
};

/** A text as a shell takes it for one word: paths have spaces. @example shellWord("ann's files") // 'ann'\\''s files' */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
