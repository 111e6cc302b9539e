const words = new Uint32Array(1);
const floats = new Float32Array(words.buffer);

/**
 * The number of a 16-bit brain float: the upper half of an FP32. JavaScript has no type for it, so tensors keep the words.
 *
 * @example fromBfloat16(0x3fc0) // 1.5
 */
export function fromBfloat16(word: number): number {
  words[0] = word << 16;
  return floats[0]!;
}

/**
 * The word of the nearest 16-bit brain float, ties to even; NaN stays NaN.
 *
 * @example toBfloat16(1.5) // 0x3fc0
 */
export function toBfloat16(value: number): number {
  floats[0] = value;
  const word = words[0]!;
  if (Number.isNaN(value)) return 0x7fc0;
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
}
