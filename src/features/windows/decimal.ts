/**
 * An exact decimal number: a safe integer, or `units · 10^-scale`. Sums of these are the same in whatever order they are added, which those of
 * doubles are not (0.1 + 0.2 + 0.3): so tiles that were filled in another order, or in other batches, hold the same sum to the last bit.
 */
export type Decimal = number | { readonly units: bigint; readonly scale: number };

/** A double as the decimal that JSON writes for it: the shortest one that reads back as it. `value` is finite. */
export function decimalOf(value: number): Decimal {
  return Number.isSafeInteger(value) ? value + 0 : parseDecimal(String(value)); // + 0: there is no negative zero
}

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i;

/** A decimal from its digits, as `decimalText` and Postgres (`numeric`) write it. @example parseDecimal('12.50') // 1250 · 10^-2 */
export function parseDecimal(text: string): Decimal {
  const small = Number(text);
  if (Number.isSafeInteger(small) && !text.includes('.')) return small + 0;
  const [, sign = '', whole = '0', fraction = '', exponent = '0'] = DECIMAL.exec(text) ?? [];
  const scale = fraction.length - Number(exponent);
  const units = BigInt(sign + whole + fraction);
  return scale >= 0 ? { units, scale } : { units: units * 10n ** BigInt(-scale), scale: 0 };
}

export function decimalText(value: Decimal): string {
  if (typeof value === 'number') return String(value);
  return value.scale === 0 ? String(value.units) : `${value.units}e-${value.scale}`;
}

/** The double nearest to it. */
export function toNumber(value: Decimal): number {
  return typeof value === 'number' ? value : Number(decimalText(value));
}

export function plus(a: Decimal, b: Decimal): Decimal {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const scale = Math.max(scaleOf(a), scaleOf(b));
  return { units: unitsAt(a, scale) + unitsAt(b, scale), scale };
}

export function times(a: Decimal, b: Decimal): Decimal {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b;
    if (Number.isSafeInteger(product)) return product + 0;
  }
  return { units: unitsAt(a, scaleOf(a)) * unitsAt(b, scaleOf(b)), scale: scaleOf(a) + scaleOf(b) };
}

function scaleOf(value: Decimal): number {
  return typeof value === 'number' ? 0 : value.scale;
}

function unitsAt(value: Decimal, scale: number): bigint {
  if (typeof value === 'number') return BigInt(value) * 10n ** BigInt(scale);
  return value.scale === scale ? value.units : value.units * 10n ** BigInt(scale - value.scale);
}
