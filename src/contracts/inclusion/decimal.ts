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
