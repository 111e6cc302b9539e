import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROLES } from '../src/access/permissions.ts';
import { runCommand } from './command-line.ts';

const ROOT = join(import.meta.dirname, '..');
const DOCUMENTS = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`),
  ...readdirSync(join(ROOT, 'examples')).map((name) => `examples/${name}/README.md`),
];

/** Commands as documents show them: in code, `aios …` or `npx aios …`, up to where a comment or another program begins. */
function shown(document: string): string[] {
  const text = readFileSync(join(ROOT, document), 'utf8');
  const inLine = [...text.matchAll(/`(?:npx )?aios ([^`]+)`/g)].map(([, command]) => command!);
  const indented = [...text.matchAll(/^(?: {4}|\$ )(?:npx )?aios (.+)$/gm)].map(([, command]) => command!);
  return [...inLine, ...indented]
    .map((command) => command.split(/\s#|\s[|>]|\s {2}|;|…/)[0]!.trim())
    .filter(Boolean);
}

const helps = new Map<string, Promise<string>>();
function help(words: readonly string[]): Promise<string> {
  const key = words.join(' ');
  if (!helps.has(key))
    helps.set(
      key,
      runCommand([...words, '--help']).then(({ said }) => said),
    );
  return helps.get(key)!;
}

const OF_ALL = ['--url', '--key', '--data-dir', '--json', '--help', '--version'];

/** What is wrong with a command as it is shown; nothing where the command and each of its options are there. */
async function faultsOf(command: string): Promise<string[]> {
  const words = command.split(/\s+/);
  const [first = ''] = words;
  if (first.startsWith('-')) return [];
  const top = await help([]);
  if (!new RegExp(`^ {2}${first}(?: |$)`, 'm').test(top)) return [`there is no command ${first}`];
  const own = await help([first]);
  const isGroup = /^Commands:$/m.test(own);
  const second = words[1] ?? '';
  const isSub =
    isGroup && new RegExp(`^ {2}${second}(?: |$)`, 'm').test(own) && /^[a-z][a-z-]*$/.test(second);
  const text = isSub ? await help([first, second]) : own;
  const options = words.map((word) => /^--[a-z-]+/.exec(word)?.[0]).filter((word) => word !== undefined);
  return options.filter(
    (option) => !OF_ALL.includes(option) && !new RegExp(`${option}(?![a-z-])`).test(text),
  );
}

it.each(DOCUMENTS)('%s shows commands that there are, with options that they take', async (document) => {
  const faults: string[] = [];
  for (const command of shown(document))
    for (const fault of await faultsOf(command)) faults.push(`aios ${command}: ${fault}`);
  expect(faults).toEqual([]);
});

it('would find one that is not there', async () => {
  expect(await faultsOf('nothing --here')).toEqual(['there is no command nothing']);
  expect(await faultsOf('runs retry ID --steps a')).toEqual(['--steps']);
  expect(await faultsOf('runs retry ID --step a --json')).toEqual([]);
});

it('the help of keys names every role that a key may have', async () => {
  const words = (await help(['keys'])).replace(/\s+/g, ' ');
  expect(words).toContain(`--roles <names> with --create: `);
  expect(ROLES.filter((role) => !new RegExp(`with --create: [^(]*\\b${role}\\b`).test(words))).toEqual([]);
});

/** The names of commands as a help lists them. */
const listed = (text: string) =>
  [...text.replace(/\nExample:.*/s, '').matchAll(/^ {2}([a-z][a-z-]*)(?= |$)/gm)]
    .map(([, name]) => name!)
    .filter((name) => name !== 'help');

it('the help of each command has an example that it takes, in lines of 80 characters', async () => {
  const faults: string[] = [];
  let examples = 0;
  const look = async (words: readonly string[]): Promise<void> => {
    const text = await help(words);
    const [, example] = /\nExample:\n {2}aios (.+)\n/.exec(text) ?? [];
    const inside = listed(text);
    if (example !== undefined) {
      examples++;
      if (!example.startsWith(words.join(' '))) faults.push(`${words.join(' ')}: ${example}`);
      for (const fault of await faultsOf(example)) faults.push(`${example}: ${fault}`);
    } else if (inside.length === 0) faults.push(`${words.join(' ')} has no example`);
    for (const line of text.split('\n')) if (line.length > 80) faults.push(line);
    if (words.length < 2) for (const name of inside) await look([...words, name]);
  };
  await look([]);
  expect(faults).toEqual([]);
  expect(examples).toBeGreaterThan(60);
});
