/**
 * An exact decimal number: a safe integer, or `units · 10^-scale`, its units a safe integer where they are one. Sums of these are the same in
 * whatever order they are added, which those of doubles are not (0.1 + 0.2 + 0.3): so tiles that were filled in another order, or in other
 * batches, hold the same sum to the last bit.
 */
export type Decimal = number | { readonly units: number | bigint; readonly scale: number };

/** Powers of ten that a double holds exactly, up to where units of 15 digits still leave a safe integer. */
const POWERS = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/** Amounts have two places, rates four to six: these are tried before the digits are written out (0.05 µs instead of 0.7). */
const TRIED_SCALE_MAX = 6;
/** Of so many digits no two decimals are the same double (DBL_DIG). */
const DIGITS_MAX = 15;

export function decimalOf(value: number): Decimal {
  if (Number.isSafeInteger(value)) return value + 0; // + 0: there is no negative zero
  for (let scale = 1; scale <= TRIED_SCALE_MAX; scale++) {
    const power = POWERS[scale]!;
    const units = Math.round(value * power);
    // A quotient of two exact numbers is rounded once: it is the double that these digits are read as.
    if (units / power === value && Math.abs(units) < 1e15) return { units, scale };
  }
  return parseDecimal(String(value));
}

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i;

/** A decimal from its digits, as `decimalText` and Postgres (`numeric`) write it. @example parseDecimal('12.50') // 1250 · 10^-2 */
export function parseDecimal(text: string): Decimal {
  const small = Number(text);
  if (Number.isSafeInteger(small) && !text.includes('.')) return small + 0;
  const [, sign = '', whole = '0', fraction = '', exponent = '0'] = DECIMAL.exec(text) ?? [];
  const scale = fraction.length - Number(exponent);
  const digits = whole + fraction;
  if (scale >= 0 && digits.length <= DIGITS_MAX) return { units: Number(sign + digits) + 0, scale };
  const units = BigInt(sign + digits);
  return scale >= 0 ? { units, scale } : { units: units * 10n ** BigInt(-scale), scale: 0 };
}

export function decimalText(value: Decimal): string {
  if (typeof value === 'number') return String(value);
  return value.scale === 0 ? String(value.units) : `${value.units}e-${value.scale}`;
}

/** The double nearest to it. */
export function toNumber(value: Decimal): number {
  if (typeof value === 'number') return value;
  const { units, scale } = value;
  return typeof units === 'number' && scale < POWERS.length
    ? units / POWERS[scale]!
    : Number(decimalText(value));
}

/** The double nearest to `value · 10^exponent`: of what lies beyond the range of doubles, too. */
export function shifted(value: Decimal, exponent: number): number {
  const { units, scale } = typeof value === 'number' ? { units: value, scale: 0 } : value;
  return Number(`${units}e${exponent - scale}`);
}

/** The whole number of units of 10^-scale that it is; undefined when it has more digits, or more than a double holds exactly. */
export function unitsIn(value: Decimal, scale: number): number | undefined {
  if (scaleOf(value) > scale) return undefined;
  const units = unitsAt(value, scale);
  return typeof units === 'number' ? units : undefined;
}

export function plus(a: Decimal, b: Decimal): Decimal {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const scale = Math.max(scaleOf(a), scaleOf(b));
  const left = unitsAt(a, scale);
  const right = unitsAt(b, scale);
  if (typeof left === 'number' && typeof right === 'number') {
    const units = left + right;
    if (Number.isSafeInteger(units)) return { units, scale };
  }
  return { units: BigInt(left) + BigInt(right), scale };
}

export function times(a: Decimal, b: Decimal): Decimal {
  const left = unitsAt(a, scaleOf(a));
  const right = unitsAt(b, scaleOf(b));
  const scale = scaleOf(a) + scaleOf(b);
  if (typeof left === 'number' && typeof right === 'number') {
    const units = left * right + 0;
    if (Number.isSafeInteger(units)) return scale === 0 ? units : { units, scale };
  }
  return { units: BigInt(left) * BigInt(right), scale };
}

function scaleOf(value: Decimal): number {
  return typeof value === 'number' ? 0 : value.scale;
}

function unitsAt(value: Decimal, scale: number): number | bigint {
  const units = typeof value === 'number' ? value : value.units;
  const power = scale - scaleOf(value);
  if (power === 0) return units;
  if (typeof units === 'number' && power < POWERS.length) {
    const scaled = units * POWERS[power]!;
    if (Number.isSafeInteger(scaled)) return scaled;
  }
  return BigInt(units) * 10n ** BigInt(power);
}
