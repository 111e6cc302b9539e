import { type QueryClient, queryOptions } from '@tanstack/react-query';
import { get } from './request.ts';
import type { Page } from './shapes.ts';

export interface LogPiece {
  seq: number;
  stepKey: string;
  trainingRun: string;
  stream: 'stdout' | 'stderr';
  text: string;
  at: string;
}

/** The newest of what the training commands of a run wrote. */
export interface TrainingLog {
  pieces: LogPiece[];
  /** Characters before them, which the page does not keep. */
  leftOut: number;
  cursor: string;
}

const CHARS_MAX = 200_000;
const PAGE_COUNT = 100;
const FOLLOW_MS = 1_000;

/** Reads what came since it was last read; asked again each second while the run goes on. */
export const trainingLogQuery = (run: string, queries: QueryClient, isFollowed: boolean) => {
  const queryKey = ['training-log', run];
  return queryOptions({
    queryKey,
    queryFn: async ({ signal }) => {
      let log = queries.getQueryData<TrainingLog>(queryKey) ?? { pieces: [], leftOut: 0, cursor: '0' };
      for (;;) {
        signal.throwIfAborted();
        const { items, nextCursor } = await get<Page<LogPiece>>(
          `/api/v1/runs/${encodeURIComponent(run)}/logs`,
          { cursor: log.cursor, limit: PAGE_COUNT },
        );
        if (nextCursor === null) return log;
        log = withPieces(log, items, nextCursor);
      }
    },
    refetchInterval: isFollowed ? FOLLOW_MS : false,
  });
};

/**
 * A log with what came since, within `charsMax` characters: the oldest go first.
 *
 * @example withPieces({ pieces: [], leftOut: 0, cursor: '0' }, pieces, '7', 1_000)
 */
export function withPieces(
  { pieces, leftOut }: TrainingLog,
  more: readonly LogPiece[],
  cursor: string,
  charsMax = CHARS_MAX,
): TrainingLog {
  const kept = [...pieces, ...more];
  let over = kept.reduce((sum, { text }) => sum + text.length, 0) - charsMax;
  let gone = leftOut;
  while (over > 0) {
    const first = kept[0]!;
    const cut = Math.min(over, first.text.length);
    if (cut === first.text.length) kept.shift();
    else kept[0] = { ...first, text: first.text.slice(cut) };
    over -= cut;
    gone += cut;
  }
  return { pieces: kept, leftOut: gone, cursor };
}
