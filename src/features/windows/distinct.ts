/**
 * How many different values there were: their hashes in ascending order as long as there are few, then HyperLogLog registers. What it holds is a
 * function of the set of values alone: not of their order, nor of how the parts were merged.
 */
export type Distinct = readonly number[] | Uint8Array;

/** Up to here the count is exact (but for two values with one 52-bit hash: 3 in 10^11 at this many). */
export const DISTINCT_EXACT_MAX = 512;
const INDEX_BITS = 12;
/** 4,096 registers of a byte: past the exact bound the standard error is 1.04 / √4096 = 1.6 %. */
const REGISTERS = 2 ** INDEX_BITS;
const RANK_BITS = 52 - INDEX_BITS;

/** Of one value: texts, numbers and booleans that differ as JSON values count apart. */
export function distinctOf(value: string | number | boolean): Distinct {
  return [hash52(typeof value === 'string' ? `"${value}` : String(value))];
}

export function mergeDistinct(a: Distinct, b: Distinct): Distinct {
  if (a instanceof Uint8Array) return withRegisters(a, b);
  if (b instanceof Uint8Array) return withRegisters(b, a);
  const union = unionOf(a, b);
  return union.length <= DISTINCT_EXACT_MAX ? union : withRegisters(new Uint8Array(REGISTERS), union);
}

export function countDistinct(distinct: Distinct): number {
  return distinct instanceof Uint8Array ? Math.round(estimate(distinct)) : distinct.length;
}

function unionOf(a: readonly number[], b: readonly number[]): number[] {
  const union: number[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const left = a[i] ?? Number.POSITIVE_INFINITY;
    const right = b[j] ?? Number.POSITIVE_INFINITY;
    union.push(Math.min(left, right));
    if (left <= right) i++;
    if (right <= left) j++;
  }
  return union;
}

function withRegisters(registers: Uint8Array, more: Distinct): Uint8Array {
  const merged = Uint8Array.from(registers);
  if (more instanceof Uint8Array) {
    for (let i = 0; i < REGISTERS; i++) merged[i] = Math.max(merged[i]!, more[i]!);
    return merged;
  }
  for (const hash of more) {
    const index = Math.floor(hash / 2 ** RANK_BITS);
    const rest = hash % 2 ** RANK_BITS;
    const rank = rest === 0 ? RANK_BITS + 1 : RANK_BITS - Math.floor(Math.log2(rest));
    merged[index] = Math.max(merged[index]!, rank);
  }
  return merged;
}

/** Ertl's improved raw estimation (arXiv:1702.01284, algorithm 6): without the bias between linear counting and the raw estimate. */
function estimate(registers: Uint8Array): number {
  const counts = new Array<number>(RANK_BITS + 2).fill(0);
  for (const rank of registers) counts[rank] = counts[rank]! + 1;
  let z = REGISTERS * tau(1 - counts[RANK_BITS + 1]! / REGISTERS);
  for (let rank = RANK_BITS; rank >= 1; rank--) z = 0.5 * (z + counts[rank]!);
  z += REGISTERS * sigma(counts[0]! / REGISTERS);
  return (REGISTERS * REGISTERS) / (2 * Math.LN2 * z);
}

function sigma(start: number): number {
  if (start === 1) return Number.POSITIVE_INFINITY;
  let x = start;
  let y = 1;
  let z = x;
  for (let previous = -1; z !== previous; ) {
    previous = z;
    x *= x;
    z += x * y;
    y += y;
  }
  return z;
}

function tau(start: number): number {
  if (start === 0 || start === 1) return 0;
  let x = start;
  let y = 1;
  let z = 1 - x;
  for (let previous = -1; z !== previous; ) {
    previous = z;
    x = Math.sqrt(x);
    y *= 0.5;
    z -= (1 - x) ** 2 * y;
  }
  return z / 3;
}

/** 52 bits of two MurmurHash3 (x86, 32 bits) over the UTF-16 units: about 60 ns for a short text, where a digest of node:crypto takes 1 µs. */
function hash52(text: string): number {
  return murmur3(text, 0x9747b28c) * 2 ** 20 + (murmur3(text, 0x3c6ef372) >>> 12);
}

function murmur3(text: string, seed: number): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) {
    let k = Math.imul(text.charCodeAt(i), 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  h ^= text.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
