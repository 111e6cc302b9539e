import { ERRORS, type ErrorCode } from './error-codes.ts';
import type { Json } from './json.ts';

/** One fault in a document: where it stands, what was found, what was expected. */
export interface Issue {
  /** JSON Pointer (RFC 6901) into the value. */
  path: string;
  message: string;
  file?: string;
  line?: number;
  column?: number;
  found?: string;
  expected?: string;
  /** The name that was most likely meant. */
  meant?: string;
}

/** RFC 9457 problem details, with the stable `code` and a way forward. */
export interface Problem {
  /** Leads to the row of the code (`errorType`). */
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  /** What to do now, by a program or at a command line. */
  hint: string;
  /** What a person does in the console, where `hint` does not serve them. */
  hintInConsole?: string;
  issues?: Issue[];
  [extension: string]: unknown;
}

export interface ErrorOptions {
  detail?: string;
  issues?: Issue[];
  cause?: unknown;
  /** Members added to the problem, such as `limit` or `retryAfterMs`. */
  extensions?: { [name: string]: Json };
}

/**
 * The only error that AIOS throws on purpose. Its code is a row of `error-codes.ts`, which says its HTTP status and
 * whether the same call may succeed later.
 *
 * @example throw new AiosError('events.payload_too_large', { detail: '2 MB', extensions: { limit: 1048576 } })
 */
export class AiosError extends Error {
  readonly code: ErrorCode;
  readonly issues: readonly Issue[];
  readonly extensions: { readonly [name: string]: Json };

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    const issues = options.issues ?? [];
    const detail =
      options.detail ?? (issues.length > 0 ? issues.map(describeIssue).join('; ') : ERRORS[code].title);
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AiosError';
    this.code = code;
    this.issues = issues;
    this.extensions = options.extensions ?? {};
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }

  toProblem(): Problem {
    const { title, status, hint, hintInConsole } = ERRORS[this.code];
    return {
      ...this.extensions,
      type: errorType(this.code),
      title,
      status,
      code: this.code,
      detail: this.message,
      hint,
      ...(hintInConsole && { hintInConsole }),
      ...(this.issues.length > 0 ? { issues: [...this.issues] } : {}),
    };
  }
}

/**
 * The `type` of problems with a code (RFC 9457): a path of the server that answers, the same everywhere, where it tells what the code means.
 *
 * @example errorType('tasks.unknown') // '/errors/tasks.unknown'
 */
export function errorType(code: ErrorCode): string {
  return `/errors/${code}`;
}

/** `file:line:column path: message`, as compilers print it, so that editors make it a link. */
export function describeIssue(issue: Issue): string {
  const place = issue.file
    ? `${issue.file}${issue.line === undefined ? '' : `:${issue.line}:${issue.column ?? 1}`} `
    : '';
  const { message, found, expected, meant } = issue;
  const notes = [
    ...(found === undefined ? [] : [`found ${found}`]),
    ...(expected === undefined || message.includes(expected) ? [] : [`expected ${shortened(expected)}`]),
    ...(meant === undefined ? [] : [`did you mean ${meant}?`]),
  ];
  return `${place}${issue.path || '/'}: ${message}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`;
}

const EXPECTED_CHARS_MAX = 300; // a step of a flow may have some 20 members, a list of models thousands

/** A list of names, cut between two of them. */
function shortened(list: string): string {
  if (list.length <= EXPECTED_CHARS_MAX) return list;
  const cut = list.lastIndexOf(' ', EXPECTED_CHARS_MAX);
  return `${list.slice(0, cut > 0 ? cut : EXPECTED_CHARS_MAX)} …`;
}

/** Whatever was thrown, as an AiosError; what AIOS did not foresee becomes `internal`. */
export function toAiosError(error: unknown): AiosError {
  if (error instanceof AiosError) return error;
  return new AiosError('internal', {
    detail: error instanceof Error ? error.message : String(error),
    cause: error,
  });
}
