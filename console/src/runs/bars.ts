import type { Run, Step } from '../api/shapes.ts';
import { collapse, type Scale, type Span } from './collapse.ts';

export interface Bar {
  step: Step;
  /** From when it could have begun to when it began. */
  queue: Span;
  work: Span;
  waits: boolean;
  queuedMs: number;
}

export interface Bars {
  bars: Bar[];
  scale: Scale;
  totalMs: number;
}

/** The bars of a run's timeline: what a step worked, and how long it stood in line before, are told apart. */
export function barsOf(run: Pick<Run, 'steps' | 'startedAt' | 'endedAt'>, nowMs: number): Bars {
  const steps = run.steps.filter(
    ({ kind, durationMs, status }) => kind !== 'flow' || durationMs !== undefined || status !== 'completed',
  );
  const start = Date.parse(run.startedAt ?? steps[0]?.startedAt ?? new Date(nowMs).toISOString());
  const spans = steps.map((step) => spanOf(step, nowMs));
  const end = Math.max(start + 0.01, run.endedAt ? Date.parse(run.endedAt) : 0, ...spans.map(({ to }) => to));
  const bars = steps.map((step, index): Bar => {
    const work = spans[index]!;
    // It could begin when the last step before it had ended; steps side by side began together.
    const ready = Math.max(start, ...spans.filter(({ to }) => to <= work.from).map(({ to }) => to));
    const queue = { from: Math.min(ready, work.from), to: work.from };
    return { step, queue, work, waits: step.kind === 'wait', queuedMs: queue.to - queue.from };
  });
  const busy = bars.flatMap(({ waits, work }) => (waits ? [] : [work]));
  return { bars, scale: collapse(busy, { from: start, to: end }), totalMs: end - start };
}

function spanOf({ startedAt, endedAt, durationMs, status }: Step, nowMs: number): Span {
  const from = Date.parse(startedAt);
  if (status === 'waiting') return { from, to: Math.max(from, nowMs) };
  return { from, to: Math.max(from, from + (durationMs ?? (endedAt ? Date.parse(endedAt) - from : 0))) };
}
