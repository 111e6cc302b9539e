const ZERO = 48;
const DASH = 45;
const DOT = 46;
const LETTER_T = 84;
const LETTER_Z = 90;

/**
 * Milliseconds since the epoch of a time that is known to be one (RFC 3339). The form that most clients write is read by its places: `Date.parse` takes
 * three times as long (0.25 µs), for every event that is appended or read.
 *
 * @example instantMs('2026-01-02T03:04:05.678Z') // 1767323045678
 */
export function instantMs(text: string): number {
  const { length } = text;
  const isPlain =
    (length === 24 ? text.charCodeAt(19) === DOT : length === 20) &&
    text.charCodeAt(length - 1) === LETTER_Z &&
    text.charCodeAt(10) === LETTER_T;
  return isPlain && isYearFirst(text) ? fieldsMs(text, length === 24 ? 3 : 0) : Date.parse(text);
}

/** Whether a text begins with a year that `Date.UTC` takes as it is (of two digits it would make another one). */
export function isYearFirst(text: string): boolean {
  return text.charCodeAt(0) !== ZERO && text.charCodeAt(4) === DASH;
}

/** Of `YYYY-MM-DD?HH:MM:SS` in UTC, with so many digits of a fraction behind a point; what is below milliseconds is cut off. */
export function fieldsMs(text: string, fraction: number): number {
  let ms = 0;
  if (fraction > 0) ms = digit(text, 20) * 100;
  if (fraction > 1) ms += digit(text, 21) * 10;
  if (fraction > 2) ms += digit(text, 22);
  return Date.UTC(
    twoDigits(text, 0) * 100 + twoDigits(text, 2),
    twoDigits(text, 5) - 1,
    twoDigits(text, 8),
    twoDigits(text, 11),
    twoDigits(text, 14),
    twoDigits(text, 17),
    ms,
  );
}

function digit(text: string, at: number): number {
  return text.charCodeAt(at) - ZERO;
}

function twoDigits(text: string, at: number): number {
  return digit(text, at) * 10 + digit(text, at + 1);
}
