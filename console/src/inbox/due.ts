import type { Tone } from '../display/tone.ts';

const SOON_MS = 4 * 3_600_000;

/** How pressing a deadline is. */
export function dueTone(dueAt: string, nowMs: number): Tone {
  const left = Date.parse(dueAt) - nowMs;
  if (left <= 0) return 'bad';
  return left < SOON_MS ? 'attention' : 'quiet';
}
