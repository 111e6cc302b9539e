/** Money as whole millionths of a US dollar: never a float of dollars (rounding would lose cents over a year). */
export type MicroUsd = number;

/** @example microUsd(0.018) // 18000 */
export function microUsd(dollars: number): MicroUsd {
  return Math.round(dollars * 1_000_000);
}

/** @example formatUsd(18_000) // '$0.018' */
export function formatUsd(amount: MicroUsd): string {
  const dollars = amount / 1_000_000;
  const digits = Math.abs(dollars) >= 1 || amount === 0 ? 2 : Math.abs(dollars) >= 0.001 ? 3 : 6;
  return `${dollars < 0 ? '-' : ''}$${Math.abs(dollars).toFixed(digits)}`;
}
