/** Exact arithmetic on numbers as JSON writes them: 0.3 is a multiple of 0.1. */
function scaled(values: readonly number[]): bigint[] {
  const texts = values.map((value) => {
    const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(
      String(value),
    ) as unknown as [string, string, string, string?, string?];
    return { digits: BigInt(sign + whole + fraction), power: Number(exponent) - fraction.length };
  });
  const lowest = Math.min(...texts.map(({ power }) => power));
  return texts.map(({ digits, power }) => digits * 10n ** BigInt(power - lowest));
}

/** Powers of ten that are tried before digits are written out: amounts have two places, rates four to six. */
const POWERS = [1, 1e2, 1e4, 1e6];
const EXACT_UNITS_MAX = 1e15; // of 15 digits no two decimals are the same double (DBL_DIG)

/**
 * Whether a number is a multiple of another one (> 0), both as JSON writes them: 19.99 is one of 0.01, though the quotient of the two doubles is
 * 1998.9999999999998.
 *
 * @example isMultipleOf(19.99, 0.01) // true
 */
export function isMultipleOf(value: number, step: number): boolean {
  if (!Number.isFinite(value)) return false;
  for (const power of POWERS) {
    const [units, unit] = [Math.round(value * power), Math.round(step * power)];
    if (Math.abs(units) > EXACT_UNITS_MAX || unit > EXACT_UNITS_MAX) break;
    if (units / power === value && unit / power === step) return units % unit === 0;
  }
  const [units, unit] = scaled([value, step]) as [bigint, bigint];
  return units % unit === 0n;
}

/** True when every multiple of all of `bases` (each > 0) is a multiple of `divisor`. */
export function areMultiples(bases: readonly number[], divisor: number): boolean {
  if (bases.length === 0) return false;
  const [unit, ...rest] = scaled([divisor, ...bases]) as [bigint, ...bigint[]];
  return rest.reduce(leastCommonMultiple) % unit === 0n;
}

/** The smallest whole number that is a multiple of all bases, when they are whole. */
export function wholeStep(bases: readonly number[]): number {
  const whole = bases.filter(Number.isSafeInteger).map(BigInt);
  return Number(whole.reduce(leastCommonMultiple, 1n));
}

function leastCommonMultiple(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y > 0n) [x, y] = [y, x % y];
  return (a / x) * b;
}
