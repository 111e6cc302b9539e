const ZERO = 48;
const DASH = 45;
const DOT = 46;
const COLON = 58;
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

/** From January on; the 29th of February is left to others. */
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * Whether a text is certainly a time of RFC 3339: as most clients write it, `YYYY-MM-DDTHH:MM:SS[.f]Z`, of a day and second that every year and day has. Of any other text it
 * says nothing. Looking at places takes 0.03 µs, where the expressions of ajv-formats take 0.4, several times for every event.
 *
 * @example isPlainInstant('2026-01-02T03:04:05.678Z') // true
 */
export function isPlainInstant(text: string): boolean {
  const { length } = text;
  if (length < 20 || text.charCodeAt(length - 1) !== LETTER_Z) return false;
  if (text.charCodeAt(4) !== DASH || text.charCodeAt(7) !== DASH || text.charCodeAt(10) !== LETTER_T)
    return false;
  if (text.charCodeAt(13) !== COLON || text.charCodeAt(16) !== COLON) return false;
  const month = number(text, 5);
  const day = number(text, 8);
  return (
    number(text, 0) >= 0 &&
    number(text, 2) >= 0 &&
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= DAYS[month - 1]! &&
    isUpTo(number(text, 11), 23) &&
    isUpTo(number(text, 14), 59) &&
    isUpTo(number(text, 17), 59) &&
    isFraction(text, 19, length - 1)
  );
}

/** Nothing, or a point and digits. */
function isFraction(text: string, from: number, until: number): boolean {
  if (from === until) return true;
  if (text.charCodeAt(from) !== DOT || until - from < 2) return false;
  for (let at = from + 1; at < until; at++) if (!isUpTo(digit(text, at), 9)) return false;
  return true;
}

/** Two digits, or a number below zero where one is none. */
function number(text: string, at: number): number {
  const [tens, ones] = [digit(text, at), digit(text, at + 1)];
  return isUpTo(tens, 9) && isUpTo(ones, 9) ? tens * 10 + ones : -1;
}

const isUpTo = (value: number, most: number): boolean => value >= 0 && value <= most;

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

const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?: ?(?:Z|([+-])(\d\d)(?::?(\d\d))?))?)?$/i;

/**
 * Milliseconds since the epoch of a date or time of ISO 8601; UTC where it says no zone, whatever zone this machine is in. Undefined for any other text, and for a
 * day or second that there is not: `Date.parse` reads a year out of “Row 5”, and the 30th of February as the 2nd of March.
 *
 * @param round what becomes of a part of a millisecond; up when left out
 * @example isoMs('2026-03-01 12:00+02:00') // Date.UTC(2026, 2, 1, 10)
 */
export function isoMs(text: string, round: (ms: number) => number = Math.ceil): number | undefined {
  const found = ISO.exec(text);
  if (!found) return undefined;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map((part) => Number(part ?? 0));
  const [fraction = '', sign, hours = '0', minutes = '0'] = found.slice(7);
  const date = new Date(0);
  date.setUTCFullYear(year!, month! - 1, day); // Date.UTC takes a year before 100 for one of the last century
  const isThere = date.getUTCMonth() === month! - 1 && date.getUTCDate() === day;
  if (!isThere || hour! > 23 || minute! > 59 || second! > 59) return undefined;
  if (Number(hours) > 23 || Number(minutes) > 59) return undefined;
  const zoneMs = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === '-' ? -1 : 1);
  const ms = round(Number(fraction.padEnd(9, '0')) / 1_000_000);
  return date.getTime() + ((hour! * 60 + minute!) * 60 + second!) * 1000 + ms - zoneMs;
}
