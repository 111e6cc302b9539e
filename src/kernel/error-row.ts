/** One row of the error table: the HTTP status, whether the same call may succeed later, and the way forward. */
export interface ErrorRow {
  readonly status: number;
  readonly retryable: boolean;
  readonly title: string;
  readonly hint: string;
}

/** An error that the same call meets again. */
export const row = (status: number, title: string, hint: string): ErrorRow => ({
  status,
  retryable: false,
  title,
  hint,
});

/** An error that may be gone at the next try. */
export const again = (status: number, title: string, hint: string): ErrorRow => ({
  status,
  retryable: true,
  title,
  hint,
});
