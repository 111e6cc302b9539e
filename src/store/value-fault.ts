import { AiosError } from '../kernel/errors.ts';

/** SQLSTATEs (appendix A of Postgres' manual) that say of a value that it cannot be kept: whoever sent it can send another. */
const VALUE_FAULTS: Readonly<Record<string, string>> = {
  '22003': 'A number is larger than is kept where it stands.',
  '22021': 'A text holds a character that is not kept: NUL (\\u0000), or half of a surrogate pair.',
  '22P02': 'A value does not have the form of what is kept where it stands.',
  '22P05': 'A text holds a character that is not kept: NUL (\\u0000), or half of a surrogate pair.',
};

/**
 * What a caller is told where Postgres refused a value that no schema had caught; nothing for any other error.
 *
 * @example valueFault(await db.query('select $1::int', ['1e9999']).catch((error) => error))?.code // 'request.invalid'
 */
export function valueFault(error: unknown): AiosError | undefined {
  const state = (error as { code?: unknown } | undefined)?.code;
  const detail = typeof state === 'string' ? VALUE_FAULTS[state] : undefined;
  return detail === undefined ? undefined : new AiosError('request.invalid', { detail, cause: error });
}
