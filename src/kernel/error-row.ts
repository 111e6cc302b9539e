/** One row of the error table: the HTTP status, whether the same call may succeed later, and the way forward. */
export interface ErrorRow {
  readonly status: number;
  readonly retryable: boolean;
  readonly title: string;
  /** The way forward by a program or at a command line: it may name commands, addresses and members of the problem. */
  readonly hint: string;
  /** The way forward for a person in the console, who has none of these; left out where `hint` serves them as it is. */
  readonly hintInConsole?: string;
}

/**
 * An error that the same call meets again.
 *
 * @example row(404, 'There is no such key', 'List the keys: aios keys, or /api/v1/keys.', 'The page “Keys” lists them.')
 */
export const row = (status: number, title: string, hint: string, hintInConsole?: string): ErrorRow =>
  rowOf({ status, retryable: false, title, hint }, hintInConsole);

/** An error that may be gone at the next try. */
export const again = (status: number, title: string, hint: string, hintInConsole?: string): ErrorRow =>
  rowOf({ status, retryable: true, title, hint }, hintInConsole);

function rowOf(base: ErrorRow, own: string | undefined): ErrorRow {
  const below = hintBelow(base.hint);
  const hintInConsole = own ?? (below === base.hint ? undefined : below);
  return hintInConsole === undefined ? base : { ...base, hintInConsole };
}

/**
 * A hint without what sends its reader to members of the problem: a person reads it below the faults and the limit.
 *
 * @example hintBelow('See `issues`: each names a path.') // 'Each names a path.'
 */
export function hintBelow(hint: string): string {
  const rest = hint
    .replace(/^See `issues`(?: or the detail)?(?:: | for [^;]*; |; )/, '')
    .replace(/[;.] `limitName` and `limit` \w+ [^.]*\.$/, '.');
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}
