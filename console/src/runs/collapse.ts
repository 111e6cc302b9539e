/** A stretch of time, milliseconds since the epoch. */
export interface Span {
  from: number;
  to: number;
}

export interface Scale {
  /** Where a time is on the line, 0 to 1. */
  at(ms: number): number;
  /** Stretches in which nothing worked, drawn shorter than they were. */
  gaps: { from: number; to: number; ms: number }[];
}

/** An idle stretch longer than this part of all work is drawn shorter … */
const IDLE_PART = 0.25;
/** … as this part of the line. */
const GAP_PART = 0.1;

/**
 * A line of time on which work has its length and idle time is collapsed: a person's two days would leave a millisecond of scoring no pixel.
 *
 * @param work when something worked, in any order; waits are not work
 * @example collapse([{ from: 0, to: 10 }, { from: 100_000, to: 100_010 }], { from: 0, to: 100_010 }).gaps.length // 1
 */
export function collapse(work: readonly Span[], whole: Span): Scale {
  const busy = merge(work, whole);
  const worked = busy.reduce((sum, { from, to }) => sum + to - from, 0);
  const idle: Span[] = [];
  let at = whole.from;
  for (const { from, to } of busy) {
    if (from > at) idle.push({ from: at, to: from });
    at = Math.max(at, to);
  }
  if (whole.to > at) idle.push({ from: at, to: whole.to });
  const long = idle.filter(({ from, to }) => to - from > IDLE_PART * Math.max(worked, 0.01));
  const kept = whole.to - whole.from - long.reduce((sum, { from, to }) => sum + to - from, 0);
  // The gaps share at most half of the line, however many they are.
  const gapPart =
    kept <= 0 ? 1 / Math.max(1, long.length) : Math.min(GAP_PART, 0.5 / Math.max(1, long.length));
  const workPart = 1 - gapPart * long.length;
  const place = (ms: number): number => {
    let position = 0;
    let from = whole.from;
    for (const gap of long) {
      if (ms <= gap.from) break;
      position += ((gap.from - from) / (kept || 1)) * workPart;
      position += gapPart * Math.min(1, (ms - gap.from) / (gap.to - gap.from));
      from = gap.to;
    }
    if (ms > from) position += ((ms - from) / (kept || 1)) * workPart;
    return Math.min(1, Math.max(0, position));
  };
  return {
    at: place,
    gaps: long.map(({ from, to }) => ({ from: place(from), to: place(to), ms: to - from })),
  };
}

function merge(spans: readonly Span[], whole: Span): Span[] {
  const merged: Span[] = [];
  for (const { from, to } of [...spans].sort((a, b) => a.from - b.from)) {
    const span = { from: Math.max(from, whole.from), to: Math.min(to, whole.to) };
    const last = merged.at(-1);
    if (last && span.from <= last.to) last.to = Math.max(last.to, span.to);
    else merged.push(span);
  }
  return merged;
}
