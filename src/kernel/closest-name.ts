/** Names further apart than a third of their letters are no slips of the same word. */
const LETTERS_PER_SLIP = 3;
const NAME_CHARS_MAX = 100; // the comparison grows with the square, and what is compared may come from outside

/**
 * The name that somebody meant who wrote one that is not there: the nearest by slips (a letter left out, put in, changed or swapped with its
 * neighbour; capitals count for nothing). Undefined where none is near.
 *
 * @example closestName('hitpolicy', ['name', 'hitPolicy']) // 'hitPolicy'
 */
export function closestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > NAME_CHARS_MAX) return undefined;
  let best: string | undefined;
  let fewest = Math.max(1, Math.floor(name.length / LETTERS_PER_SLIP)) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) >= fewest) continue;
    const slips = slipsBetween(name.toLowerCase(), candidate.toLowerCase());
    if (slips < fewest) [best, fewest] = [candidate, slips];
  }
  return best;
}

/**
 * How many slips make one text of the other: the distance of Damerau and Levenshtein (optimal string alignment).
 *
 * @example slipsBetween('reveiw', 'review') // 1
 */
export function slipsBetween(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let slips = Math.min(changed, above[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        slips = Math.min(slips, before[j - 2]! + 1);
      row.push(slips);
    }
    [before, above] = [above, row];
  }
  return above[b.length]!;
}
