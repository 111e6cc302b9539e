import { slipsBetween } from '../../kernel/closest-name.ts';

/** Of names, those that are nearest to one that does not exist, the nearest first. */
export function nearNames(wanted: string, known: Iterable<string>, max = 5): string[] {
  const text = wanted.toLowerCase();
  const scored = [...known].map((name) => ({ name, score: distance(text, name.toLowerCase()) }));
  const farthest = Math.max(3, text.length / 2);
  return scored
    .filter(({ score }) => score <= farthest)
    .sort((a, b) => a.score - b.score || (a.name < b.name ? -1 : 1))
    .slice(0, max)
    .map(({ name }) => name);
}

/** A name that holds the other whole is near, whatever its length. */
function distance(wanted: string, name: string): number {
  return name.includes(wanted) ? 1 : slipsBetween(wanted, name);
}
