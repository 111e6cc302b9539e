// Writes the tables of docs/ from the code that they describe; with --check only says whether they are current.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERRORS } from '../src/kernel/error-codes.ts';
import { LIMITS } from '../src/kernel/limits.ts';

const root = join(import.meta.dirname, '..');

function errorTable(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, retryable, title, hint }]) =>
      `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${title} | ${hint} |`,
  );
  return `# Errors

Every error is an [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem with a stable \`code\`: match on the code, never on the text. *Again* says whether
the same call may succeed later without a change. Faults in a document or body stand in \`issues\`, each with its path, and with file, line and column where there is a file.

Written from \`src/kernel/error-codes.ts\` by \`npm run docs\`.

| code | status | again | what happened | the way forward |
| --- | --- | --- | --- | --- |
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

const documents = { 'docs/errors.md': errorTable(), 'docs/limits.md': limitTable() };
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
