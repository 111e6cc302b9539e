const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'narrow' });
const grouped = new Intl.NumberFormat('en');
const cents = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/**
 * How far a time is from now, in the largest unit that fits.
 *
 * @example relativeTime('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:05:00Z')) // '5 min ago'
 */
export function relativeTime(at: string, nowMs: number): string {
  const ms = Date.parse(at) - nowMs;
  const size = Math.abs(ms);
  if (size < 5_000) return 'now';
  if (size < MINUTE) return relative.format(Math.trunc(ms / 1_000), 'second');
  if (size < HOUR) return relative.format(Math.trunc(ms / MINUTE), 'minute');
  if (size < 2 * DAY) return relative.format(Math.trunc(ms / HOUR), 'hour');
  return relative.format(Math.trunc(ms / DAY), 'day');
}

/** Date and time to the millisecond, in the reader's zone, which it names. */
export function exactTime(at: string): string {
  return `${localTime(at)} ${zoneOf(new Date(at))}`;
}

/** The zone of the reader at a time: `UTC`, `UTC+1`, `UTC−3:30`. */
function zoneOf(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  if (minutes === 0) return 'UTC';
  const size = Math.abs(minutes);
  const rest = size % 60 === 0 ? '' : `:${String(size % 60).padStart(2, '0')}`;
  return `UTC${minutes < 0 ? '−' : '+'}${Math.floor(size / 60)}${rest}`;
}

/** Date and time to the millisecond, in the reader's zone, where that is said elsewhere. */
export function localTime(at: string): string {
  const date = new Date(at);
  const pad = (value: number, width = 2) => String(value).padStart(width, '0');
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

/** A duration in milliseconds, with as many digits as mean something. */
export function duration(ms: number): string {
  if (ms < 0.01) return '< 0.01 ms';
  if (ms < 10) return `${trim(ms.toFixed(2))} ms`;
  // Each unit ends where rounding would show as many as make one of the next: 59.96 s is a minute.
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < MINUTE - 50) return `${trim((ms / 1_000).toFixed(1))} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (ms < DAY) return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
  return `${Math.floor(ms / DAY)} d ${Math.floor((ms % DAY) / HOUR)} h`;
}

/**
 * A duration that somebody set, in seconds: without units that are zero.
 *
 * @example wholeDuration(3600) // '1 h'
 */
export function wholeDuration(seconds: number): string {
  return duration(seconds * 1_000).replace(/(\d+ \w+) 0 \w+$/, '$1');
}

/** Millionths of a dollar as dollars; what costs less than a cent keeps two digits that count. */
export function money(microUsd: number): string {
  const usd = microUsd / 1_000_000;
  if (usd === 0) return '$0';
  if (Math.abs(usd) >= 0.1) return `${usd < 0 ? '−' : ''}$${cents.format(Math.abs(usd))}`;
  return `$${trim(usd.toFixed(Math.min(6, 1 - Math.floor(Math.log10(Math.abs(usd))))))}`;
}

const ROUGH_MICRO_USD_MIN = 100;

/** The same for lists, where amounts are compared: what is below a hundredth of a cent says only that. */
export function roughMoney(microUsd: number): string {
  if (microUsd > 0 && microUsd < ROUGH_MICRO_USD_MIN) return `< ${money(ROUGH_MICRO_USD_MIN)}`;
  return money(microUsd);
}

export function count(value: number): string {
  return value < 100_000 ? grouped.format(value) : compact.format(value);
}

export function share(part: number, whole: number): string {
  return whole === 0 ? '–' : `${trim(((100 * part) / whole).toFixed(1))} %`;
}

export function bytes(size: number): string {
  if (size < 1_000) return `${size} B`;
  if (size < 999_950) return `${trim((size / 1_000).toFixed(1))} kB`;
  return size < 999_950_000
    ? `${trim((size / 1_000_000).toFixed(1))} MB`
    : `${trim((size / 1_000_000_000).toFixed(1))} GB`;
}

/** A number as people write it: two digits after the point, or three that count when it is below one. */
export function plainNumber(value: number): string {
  if (Number.isInteger(value)) return grouped.format(value);
  return Math.abs(value) >= 1
    ? grouped.format(Number(value.toFixed(2)))
    : String(Number(value.toPrecision(3)));
}

/** `daysSincePurchase`, `days_since_purchase`: Days since purchase. */
export function label(name: string): string {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/[_-]+/g, ' ')
    .trim()
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The beginning and the end of a long id. */
export function shortId(id: string): string {
  if (id.length <= 18) return id;
  return `${id.slice(0, id.startsWith('sha256:') ? 14 : 10)}…${id.slice(-5)}`;
}

function trim(digits: string): string {
  return digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits;
}
