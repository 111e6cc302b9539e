import { AiosError } from '../../kernel/errors.ts';

/** Weights as whole numbers of 8 bits: `value ≈ data × scale`, zero exactly zero. */
export interface QuantizedWeights {
  readonly data: Int8Array;
  /** One, or one for each channel; never zero. */
  readonly scales: Float32Array;
}

/** -128 has no counterpart: left out, the scale of both sides is the same and zero stands at zero. */
export const STEPS = 127;
/** Two products with an activation of 255 fit 16 bits: what x64 processors without VNNI add them up in. */
export const REDUCED_STEPS = 63;

/**
 * Quantizes weights symmetrically: each is at most half a step (half its scale) from what it was.
 *
 * @param channels how many scales: 1 for one of all
 * @param channelOf which scale the element at an index has
 * @param stepsMax the greatest whole number
 * @throws AiosError `models.not_quantizable` for NaN and infinite weights
 * @example quantizeWeights('w', Float32Array.of(-2, 0, 1), 1, () => 0) // { data: [-127, 0, 64], scales: [2 / 127] }
 */
export function quantizeWeights(
  name: string,
  weights: Float32Array,
  channels: number,
  channelOf: (index: number) => number,
  stepsMax = STEPS,
): QuantizedWeights {
  const scales = new Float32Array(channels);
  for (let i = 0; i < weights.length; i++) {
    const size = Math.abs(weights[i]!);
    if (!(size < Number.POSITIVE_INFINITY))
      throw new AiosError('models.not_quantizable', {
        detail: `The weights “${name}” hold ${weights[i]} at index ${i}: there is no scale for them.`,
      });
    const channel = channelOf(i);
    if (size > scales[channel]!) scales[channel] = size;
  }
  for (let channel = 0; channel < channels; channel++) scales[channel] = scaleOf(scales[channel]!, stepsMax);
  const data = new Int8Array(weights.length);
  for (let i = 0; i < weights.length; i++) {
    const steps = Math.round(weights[i]! / scales[channelOf(i)]!);
    data[i] = Math.max(-stepsMax, Math.min(stepsMax, steps));
  }
  return { data, scales };
}

/** Weights that are all zero, or too small for a scale of single precision, become zeros of any scale. */
function scaleOf(greatest: number, stepsMax: number): number {
  const scale = Math.fround(greatest / stepsMax);
  return scale < SMALLEST_NORMAL ? 1 : scale;
}

const SMALLEST_NORMAL = 2 ** -126; // runtimes may take what is smaller for zero
