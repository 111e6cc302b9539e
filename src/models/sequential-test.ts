/** The outcomes of one arm, as sums: what the test needs of them. */
export interface ArmSums {
  readonly count: number;
  readonly sum: number;
  readonly sumOfSquares: number;
}

/** What a look at an A/B test finds. The difference is challenger less champion, in the unit of the outcome. */
export interface TestLook {
  readonly championMean: number | null;
  readonly challengerMean: number | null;
  readonly difference: number | null;
  /** Holds the true difference with chance 1 − alpha at all looks together. */
  readonly interval: readonly [low: number, high: number] | null;
  /** Of this look; the always-valid p-value is the least of all looks. */
  readonly pValue: number;
}

/** The verdict of a test, kept from the first look that found it. */
export interface Conclusion {
  readonly verdict: 'better' | 'worse';
  readonly difference: number;
  readonly interval: readonly [low: number, high: number];
  readonly pValue: number;
  readonly samples: { readonly champion: number; readonly challenger: number };
  readonly at: number;
}

export interface TestOptions {
  readonly alpha: number;
  /** The standard deviation τ of the normal mixture over differences: the test is quickest for true differences near it. */
  readonly effect: number;
  readonly samplesMin: number;
}

/**
 * One look at two arms by the mixture sequential probability ratio test: with d the difference of the means, V its estimated variance and a mixture
 * N(0, τ²) over the true difference, Λ = √(V/(V+τ²)) · exp(τ²d² / (2V(V+τ²))); 1/Λ is the p-value of the look. Its chance of ever falling to alpha or
 * below without a true difference is at most alpha, so that one may look at any time and stop at any look.
 *
 * Source: Johari, Koomen, Pekelis, Walsh, “Always Valid Inference: Continuous Monitoring of A/B Tests”, Operations Research 70 (2022) 1806–1821,
 * arXiv:1512.04922. The variances are estimated, so the bound is asymptotic (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, Annals of Statistics 52
 * (2024), arXiv:2103.06476): `samplesMin` per arm must have come before anything is said. Outcomes must be independent: one for each key.
 *
 * @example lookAt({ count: 500, sum: 100, sumOfSquares: 100 }, { count: 500, sum: 160, sumOfSquares: 160 }, options).pValue // 0.0002…
 */
export function lookAt(champion: ArmSums, challenger: ArmSums, options: TestOptions): TestLook {
  const [a, b] = [meanOf(champion), meanOf(challenger)];
  const difference = a === null || b === null ? null : b - a;
  const none = { championMean: a, challengerMean: b, difference, interval: null, pValue: 1 };
  if (difference === null || Math.min(champion.count, challenger.count) < options.samplesMin) return none;
  const variance = varianceOfMean(champion) + varianceOfMean(challenger);
  if (!(variance > 0)) return none; // constant outcomes: nothing is known of how they vary
  const mixture = options.effect ** 2;
  const both = variance + mixture;
  const logRatio = 0.5 * Math.log(variance / both) + (mixture * difference ** 2) / (2 * variance * both);
  const width = Math.sqrt(
    ((2 * variance * both) / mixture) * (0.5 * Math.log(both / variance) - Math.log(options.alpha)),
  );
  return {
    championMean: a,
    challengerMean: b,
    difference,
    interval: [difference - width, difference + width],
    pValue: Math.min(1, Math.exp(-logRatio)),
  };
}

function meanOf({ count, sum }: ArmSums): number | null {
  return count === 0 ? null : sum / count;
}

function varianceOfMean({ count, sum, sumOfSquares }: ArmSums): number {
  const mean = sum / count;
  return Math.max(0, sumOfSquares / count - mean ** 2) / (count - 1);
}
