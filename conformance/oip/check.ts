/** The server may leave it out, and does. */
export class NotSupported extends Error {}

/** @example check(status === 200, `the status is ${status}`) */
export function check(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}
