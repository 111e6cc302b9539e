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

/** Levenshtein's distance; a name that holds the other whole is near, whatever its length. */
function distance(a: string, b: string): number {
  if (b.includes(a)) return 1;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
