import { Tooltip } from '@mantine/core';
import { useSyncExternalStore } from 'react';
import { exactTime, relativeTime } from './format.ts';

// One clock for all times of the page; it ticks as often as the smallest shown unit needs.
const TICK_MS = 5_000;
let nowMs = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    nowMs = Date.now();
    for (const tell of listeners) tell();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

export function useNow(): number {
  return useSyncExternalStore(subscribe, () => nowMs);
}

/** A time relative to now; the exact one on hover and to assistive technology. */
export function Time({ at }: { at: string | undefined }) {
  const now = useNow();
  if (at === undefined) return <span>–</span>;
  return (
    <Tooltip label={exactTime(at)}>
      <time dateTime={at} className="number" style={{ whiteSpace: 'nowrap' }}>
        {relativeTime(at, Math.max(now, Date.now()))}
      </time>
    </Tooltip>
  );
}
