import { ProblemError } from '../client/client.ts';
import { parseDuration } from '../kernel/duration.ts';
import { hintBelow } from '../kernel/error-row.ts';
import { AiosError, describeIssue } from '../kernel/errors.ts';
import { fittedColumns } from './fitted-columns.ts';
import { namedByOptions, type Usage } from './option-names.ts';

/** Exit codes of the command line: a script can tell a plan with changes from a failure. */
export const EXIT = { ok: 0, failed: 1, changes: 2, approval: 3, usage: 64 } as const;

/** Prints a value as JSON, or as a person reads it. */
export function print(value: unknown, asJson: boolean, asText: () => string): void {
  process.stdout.write(`${asJson ? JSON.stringify(value) : asText()}\n`);
}

const FIGURE = /^\$?(-?\d+(?:\.\d+)?)(?: (?:%|ms|s))?$/;

/**
 * A number that was given on the command line.
 *
 * @throws AiosError `request.invalid` for any other text
 * @example numberOf('--tokens', '5000') // 5000
 */
export function numberOf(name: string, text: unknown): number {
  const number = String(text).trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(number)) return number;
  throw new AiosError('request.invalid', { detail: `${name} takes a number; “${text}” is not.` });
}

/**
 * A whole number from 1 on that was given on the command line.
 *
 * @throws AiosError `request.invalid` for any other text
 * @example countOf('--limit', '20') // 20
 */
export function countOf(name: string, text: unknown): number {
  const count = numberOf(name, text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new AiosError('request.invalid', {
    detail: `${name} takes a whole number from 1 on; “${String(text)}” is not.`,
  });
}

/** Below it digits tell a person nothing: a purchase a second ago was 0.0000174 days ago. */
const READ_MIN = 0.001;

/**
 * A number as a person reads it, two digits after the point or three that count below one, with the exact one behind it where that is another.
 * Whole numbers stay as they are: many are ids.
 *
 * @example numberText(30.000000011574073) // '30  (30.000000011574073)'
 */
export function numberText(value: number): string {
  const exact = String(value);
  const read = readNumber(value);
  return read === exact ? exact : `${read}  (${exact})`;
}

function readNumber(value: number): string {
  const size = Math.abs(value);
  if (Number.isInteger(value)) return String(value);
  if (size < READ_MIN) return value > 0 ? `< ${READ_MIN}` : `> -${READ_MIN}`;
  return size < 1 ? String(Number(value.toPrecision(3))) : Number(value.toFixed(2)).toLocaleString('en');
}

/** An id is what the next command takes, and a time without its end is none: they are there whole. */
const WHOLE = /^(?:\S*[a-z]+_[0-9a-z]{26}|\d{4}-\d\d-\d\dT)/;

/**
 * Rows under headings, columns as wide as their content; columns of figures stand at the right. On a terminal that is too narrow long texts are
 * cut, and the last columns are left out and named below; a pipe or a file gets all.
 *
 * @example table(['id', 'status'], [['run_1', 'completed']])
 */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  charsMax = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY,
): string {
  if (rows.length === 0) return 'nothing';
  const cellsOf = headings.map((_, i) => rows.map((row) => row[i] ?? ''));
  const widths = headings.map((heading, i) =>
    Math.max(heading.length, ...cellsOf[i]!.map(({ length }) => length)),
  );
  const isFigure = cellsOf.map((cells) => {
    const filled = cells.filter((cell) => cell !== '');
    return filled.length > 0 && filled.every((cell) => FIGURE.test(cell));
  });
  const isCut = cellsOf.map((cells, i) => i > 0 && !isFigure[i] && !cells.some((cell) => WHOLE.test(cell)));
  const { columns, leftOut } = fittedColumns(headings, widths, isCut, charsMax);
  const line = (cells: readonly string[]) =>
    columns
      .map(({ at, width }) => {
        const cell = cells[at] ?? '';
        const fits = cell.length > width ? `${cell.slice(0, width - 1)}…` : cell;
        return isFigure[at] ? fits.padStart(width) : fits.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  const shown = [line(headings.map((heading) => heading.toUpperCase())), ...rows.map(line)];
  if (leftOut.length > 0)
    shown.push(`No room for ${leftOut.join(', ')}: a wider window or --json shows all.`);
  return shown.join('\n');
}

/**
 * A time that was given on the command line: a duration from now, or a date and time.
 *
 * @throws AiosError `definition.duration` for what is neither
 * @example timeOf('90d') // '2026-04-02T09:00:00.000Z', in January
 */
export function timeOf(text: string): string {
  const at = /^\d{4}-/.test(text) ? Date.parse(text) : Date.now() + parseDuration(text);
  if (!Number.isFinite(new Date(at).getTime()))
    throw new AiosError('definition.duration', { detail: `“${text}” is not a date.` });
  return new Date(at).toISOString();
}

/**
 * A time of the past that was given on the command line: a date (its first moment, UTC), a date and time, or how long ago; nothing of nothing.
 *
 * @throws AiosError `request.invalid` for any other text
 * @example pastTime('2026-01-31') // '2026-01-31T00:00:00.000Z'
 */
export function pastTime<Text extends string | undefined>(text: Text): Text {
  if (text === undefined) return text;
  try {
    const ms = /^\d{4}-/.test(text) ? Date.parse(text) : Date.now() - parseDuration(text);
    return new Date(ms).toISOString() as Text;
  } catch (cause) {
    const detail = `“${text}” is not a time: write 2026-01-31, 2026-01-31T06:00:00Z, or 7d for seven days ago.`;
    throw new AiosError('request.invalid', { detail, cause });
  }
}

/** `3 min ago`, `in 2 h`: how far a time lies from now. */
export function relativeTime(time: string | undefined, nowMs = Date.now()): string {
  if (!time) return '';
  const seconds = Math.round((Date.parse(time) - nowMs) / 1000);
  const size = Math.abs(seconds);
  const [amount, unit] =
    size < 60
      ? [size, 's']
      : size < 3600
        ? [size / 60, 'min']
        : size < 86_400
          ? [size / 3600, 'h']
          : [size / 86_400, 'd'];
  const text = `${Math.round(amount as number)} ${unit}`;
  return seconds > 0 ? `in ${text}` : `${text} ago`;
}

/**
 * An error as a newcomer can act on it: what happened, each fault with its place, the way forward, the code to search for.
 *
 * @param usage of the command that failed
 */
export function describeError(error: unknown, usage?: Usage): string {
  const met = problemOf(error);
  const problem = met && usage ? namedByOptions(met, usage) : met;
  if (!problem) return `${error instanceof Error ? error.message : error}`;
  const { title, detail, issues = [], code } = problem;
  const faults = issues.map((issue) => `  ${describeIssue(issue)}`);
  const isSentence = detail.includes(' '); // else it is the name alone of what is not there
  const lines = faults.length > 0 ? [title, ...faults] : [isSentence ? detail : `${title}: ${detail}`];
  const { suggestedVersion, limitName, limit } = problem; // the first is of a contract that breaks its promise
  if (suggestedVersion !== undefined) lines.push(`Suggested version: ${String(suggestedVersion)}`);
  if (limitName !== undefined) lines.push(`Limit: ${String(limitName)}, ${numberText(Number(limit))}`);
  return [...lines, `${HINTS[code] ?? hintBelow(problem.hint)} (${code})`].join('\n');
}

/** An error as a script reads it: one line of JSON, the problem as the API answers it; of what is found here, with what helps here. */
export function errorAsJson(error: unknown): string {
  const detail = error instanceof Error ? error.message : String(error);
  const problem = problemOf(error) ?? { code: 'internal', detail };
  const hint = error instanceof AiosError && error.issues.length === 0 ? HINTS[error.code] : undefined;
  return JSON.stringify(hint ? { ...problem, hint } : problem);
}

function problemOf(error: unknown) {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof AiosError) return error.toProblem();
  return isFileFault(error) ? fileFault(error).toProblem() : undefined;
}

type FileFault = Error & { code: string; path: string };

const FILE_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'it may not be read or written',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is a file',
  ENOSPC: 'the disk is full',
  EROFS: 'it lies on a disk that is read only',
};

function isFileFault(error: unknown): error is FileFault {
  const { code, path } = error as Partial<FileFault>;
  return error instanceof Error && typeof path === 'string' && code !== undefined && code in FILE_FAULTS;
}

function fileFault({ code, path }: FileFault): AiosError {
  return new AiosError('client.file', { detail: `${path}: ${FILE_FAULTS[code]}.` });
}

/** Where the hint of the API speaks of its requests and answers. */
const HINTS: Readonly<Record<string, string>> = {
  'request.invalid': 'Run the command with --help to see how to use it.',
  'access.unauthenticated':
    'Set AIOS_API_KEY or give --key; a server writes its admin key to the file admin.key in its data folder (AIOS_DATA_DIR).',
};
