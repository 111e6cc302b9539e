import { type Decimal, decimalOf, plus, shifted, times, toNumber } from './decimal.ts';

/** Amounts have two places, rates four to six: sums of these are whole units in a double. */
const SCALE_MAX = 6;
const POWERS = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
/** Below it a value has at most 15 digits, of which no two decimals are the same double (DBL_DIG). */
const UNITS_MAX = 1e15;

/**
 * A sum of doubles as the decimals that they are written as: the same to the last bit in whatever order they are added, and the same as the tiles of these
 * values. Values of few places cost about 10 ns each and no object, others what `Decimal` costs.
 *
 * @example sum.add(0.1); sum.add(0.2); sum.value // 0.3
 */
export class ExactSum {
  #scale = 0;
  /** The sum of what fits, in units of 10^-scale; always a safe integer. */
  #units = 0;
  /** What does not fit. */
  #rest: Decimal = 0;

  add(value: number): void {
    if (!this.#addUnits(value, this.#scale)) this.#addSlowly(value);
  }

  get value(): number {
    return toNumber(this.decimal);
  }

  get decimal(): Decimal {
    const units = this.#scale === 0 ? this.#units : { units: this.#units, scale: this.#scale };
    return this.#rest === 0 ? units : plus(units, this.#rest);
  }

  /** Adds a value that is a whole number of units; false when it is none, or the sum would be too large. */
  #addUnits(value: number, scale: number): boolean {
    const power = POWERS[scale]!;
    const units = Math.round(value * power);
    // A quotient of two exact numbers is rounded once: it is the double that these digits are read as.
    if (units / power !== value || Math.abs(units) >= UNITS_MAX) return false;
    const sum = this.#units * (power / POWERS[this.#scale]!) + units;
    if (!Number.isSafeInteger(sum)) return false;
    this.#units = sum;
    this.#scale = scale;
    return true;
  }

  #addSlowly(value: number): void {
    for (let scale = this.#scale + 1; scale <= SCALE_MAX; scale++) if (this.#addUnits(value, scale)) return;
    this.#rest = plus(this.#rest, decimalOf(value));
  }
}

/** Below it a double has fewer digits the smaller it is. */
const NORMAL_MIN = 1e-290;
/** Squares of doubles lie between 10^-648 and 10^617: with so many places more or fewer each is a double of full precision. */
const SHIFT = 350;

/**
 * The sample standard deviation, null for fewer than two values. `n·Σx² - (Σx)²` is exact in decimals: nothing cancels, which is why sums of squares
 * are kept here and not Welford's, whose merge depends on the order.
 */
export function deviation(count: number, sum: Decimal, squares: Decimal): number | null {
  if (count < 2) return null;
  const spread = plus(times(count, squares), times(-1, times(sum, sum)));
  const pairs = count * (count - 1);
  const near = toNumber(spread);
  if (near === 0 ? isZero(spread) : near > NORMAL_MIN && near < Number.POSITIVE_INFINITY)
    return Math.sqrt(near / pairs);
  const exponent = near > 1 ? -SHIFT : SHIFT;
  const root = Math.sqrt(shifted(spread, exponent) / pairs);
  return finite(shifted(decimalOf(root), -exponent / 2));
}

function isZero(value: Decimal): boolean {
  return typeof value === 'number' ? value === 0 : value.units === 0 || value.units === 0n;
}

/** Null for what JSON cannot hold, as of every value: a sum that is larger than the largest double. */
export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
