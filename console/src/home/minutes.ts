const MINUTE_MS = 60_000;
const MINUTES = 60;

/** The last hour, minute by minute, those without runs included. */
export function minutesOf(
  series: readonly { at: string; count: number }[],
  nowMs: number,
): { label: string; count: number }[] {
  const counts = new Map(series.map(({ at, count }) => [Math.floor(Date.parse(at) / MINUTE_MS), count]));
  const last = Math.floor(nowMs / MINUTE_MS);
  return Array.from({ length: MINUTES }, (_, index) => {
    const minute = last - MINUTES + 1 + index;
    const date = new Date(minute * MINUTE_MS);
    const label = `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`;
    return { label, count: counts.get(minute) ?? 0 };
  });
}
