// Writes the tables of docs/ from the code that they describe; with --check only says whether they are current.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PERMISSIONS_OF, PERMITTED, ROLES } from '../src/access/permissions.ts';
import { ERRORS, type ErrorCode } from '../src/kernel/error-codes.ts';
import { errorPage } from '../src/kernel/error-pages.ts';
import { hintBelow } from '../src/kernel/error-row.ts';
import { LIMITS } from '../src/kernel/limits.ts';

const root = join(import.meta.dirname, '..');

function errorTable(): string {
  const rows = Object.entries(ERRORS).map(([code, { status, retryable, title, hint, hintInConsole }]) => {
    const isOther = hintInConsole !== undefined && hintInConsole !== hintBelow(hint);
    const inConsole = isOther ? ` *In the console:* ${hintInConsole}` : '';
    const page = errorPage(code as ErrorCode);
    const more = page ? ` [${page.replace(/^.*?([a-zA-Z]+)\.md.*$/, '$1')}](${page})` : '';
    // The anchor: GitHub makes them of headings alone.
    return `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${title} | ${hint}${inConsole} |${more} <a id="${code}"></a> |`;
  });
  return `# Errors

Every error is an [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem with a stable \`code\`: match on the code, never on the text. *Again* says whether
the same call may succeed later without a change. Faults in a document or body stand in \`issues\`, each with its path, and with file, line and column where there is a file.
\`hint\` is the way forward by a program or at a command line; where a person in the console goes another one, \`hintInConsole\` says it.
\`type\` is \`/errors/CODE\`: asked of the server, it answers with the row of this table, as a page in a browser and as JSON elsewhere.

Written from \`src/kernel/error-codes.ts\` by \`npm run docs\`.

| code | status | again | what happened | the way forward | how it is meant to be |
| --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}

function limitTable(): string {
  const rows = Object.entries(LIMITS).map(
    ([name, { value, why }]) => `| \`${name}\` | ${value.toLocaleString('en')} | ${why} |`,
  );
  return `# Limits

Each limit carries its unit at the end of its name. Change one for a process with \`AIOS_LIMITS="eventBytesMax=2097152,runsActiveMax=500"\`.

Written from \`src/kernel/limits.ts\` by \`npm run docs\`.

| limit | default | why |
| --- | --- | --- |
${rows.join('\n')}
`;
}

const BEGIN = '<!-- written by npm run docs -->';
const END = '<!-- to here -->';

/** The document as it is, with what stands between the two marks written anew. */
function withPermissions(path: string): string {
  const text = readFileSync(join(root, path), 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${path} has no place between ${BEGIN} and ${END}`);
  const roles = ROLES.map((role) => `\`${role}\``).join(' | ');
  const rows = Object.entries(PERMITTED).map(([permission, may]) => {
    const has = ROLES.map((role) => (PERMISSIONS_OF[role].has(permission) ? '✓' : ''));
    return `| \`${permission}\` | ${may} | ${has.join(' | ')} |`;
  });
  const table = [`| permission | may | ${roles} |`, `|${' --- |'.repeat(ROLES.length + 2)}`, ...rows];
  return `${text.slice(0, from)}${BEGIN}\n\n${table.join('\n')}\n\n${text.slice(to)}`;
}

const documents = {
  'docs/errors.md': errorTable(),
  'docs/limits.md': limitTable(),
  'docs/access.md': withPermissions('docs/access.md'),
};
const stale = Object.entries(documents).filter(([path, text]) => {
  try {
    return readFileSync(join(root, path), 'utf8') !== text;
  } catch {
    return true;
  }
});
if (process.argv.includes('--check')) {
  for (const [path] of stale) console.error(`${path} is not current: npm run docs`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const [path, text] of stale) writeFileSync(join(root, path), text);
  console.log(stale.length > 0 ? `written: ${stale.map(([path]) => path).join(', ')}` : 'current');
}
