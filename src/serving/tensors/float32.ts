/**
 * The number with the fewest digits that is the same float of 32 bits. As a double the float nearest to 0.1 is 0.10000000149011612: three times as long, and not what anybody wrote.
 *
 * @param value of a Float32Array; six to nine significant digits tell all of them apart (C11, 5.2.4.2.2: FLT_DIG, FLT_DECIMAL_DIG)
 * @example shortestFloat32(Math.fround(0.1)) // 0.1
 */
export function shortestFloat32(value: number): number {
  if (Number.isInteger(value) || !Number.isFinite(value)) return value;
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}
