import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ERRORS } from '../src/kernel/error-codes.ts';
import { START_ERRORS } from '../src/kernel/error-rows-start.ts';
import { readSources } from './structure.ts';

const root = join(import.meta.dirname, '..');
/** What a person in the console has not: commands, addresses of the API, headers, members of the problem that the page does not show by that name. */
const OUT_OF_REACH =
  /\baios [a-z]+|\bRetry-After\b|\bAuthorization: |\/(?:api|v1|v2)\/|\b(?:GET|POST|PUT|DELETE) \/|--[a-z]|`(?:issues|detail|limit|limitName|requestId|remoteStatus|upstreamStatus|near|models|allow|suggestedVersion|outputRef|inputRef)`/;
const shown = Object.entries(ERRORS)
  .filter(([code]) => !(code in START_ERRORS)) // before there is a console, and at the command line
  .map(([code, { hint, hintInConsole }]) => ({ code, hint: hintInConsole ?? hint }));

it('what the console says to do about an error can be done there', () => {
  expect(shown.filter(({ hint }) => OUT_OF_REACH.test(hint))).toEqual([]);
});

it('pages that a way forward names are there, by that name', () => {
  const source = readSources(root, ['console/src'])
    .map(({ text }) => text)
    .join('\n');
  const named = shown.flatMap(({ hint }) => [...hint.matchAll(/page “([^”]+)”/g)].map(([, page]) => page!));
  expect(named).toContain('Inbox');
  const titles = (page: string) => [
    `label: '${page}'`,
    `<Page title="${page}"`,
    `title="${page}"\n      subtitle=`,
  ];
  expect(named.filter((page) => !titles(page).some((title) => source.includes(title)))).toEqual([]);
});
