import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { kpisQuery, runQuery } from './queries.ts';
import type { Kpis, Run, RunStatus } from './shapes.ts';

/** Lists are read again at most this often, however much happens. */
const LIST_MS = 2_000;
/** Without the stream, pages ask this often. */
const POLL_MS = 5_000;

export type Connection = 'connecting' | 'live' | 'away';

/** Keeps the figures and the lists current while the page is open: by server-sent events, and by asking when those are cut. */
export function useLiveFeed(enabled: boolean): Connection {
  const queries = useQueryClient();
  const [connection, setConnection] = useState<Connection>('connecting');
  useEffect(() => {
    if (!enabled) return;
    const stale = new Set<string>();
    let wasCut = false;
    const open = () => {
      const source = new EventSource('/api/v1/stream');
      source.onopen = () => {
        setConnection('live');
        // What happened meanwhile was told to nobody.
        if (wasCut) void queries.invalidateQueries();
        wasCut = false;
      };
      source.onerror = () => {
        setConnection('away');
        wasCut = true;
      };
      source.addEventListener('stats', ({ data }) =>
        queries.setQueryData(kpisQuery.queryKey, JSON.parse(data as string) as Kpis),
      );
      source.addEventListener('run', () => stale.add('runs'));
      source.addEventListener('task', () => stale.add('tasks'));
      return source;
    };
    let source = open();
    const refresh = setInterval(() => {
      if (document.hidden) return;
      for (const name of stale) void queries.invalidateQueries({ queryKey: [name] });
      stale.clear();
    }, LIST_MS);
    const poll = setInterval(() => {
      if (source.readyState === EventSource.OPEN || document.hidden) return;
      // A browser gives up a stream that a proxy answered with an error, as while the server starts.
      if (source.readyState === EventSource.CLOSED) source = open();
      for (const name of ['kpis', 'runs', 'tasks']) void queries.invalidateQueries({ queryKey: [name] });
    }, POLL_MS);
    return () => {
      source.close();
      clearInterval(refresh);
      clearInterval(poll);
    };
  }, [enabled, queries]);
  return connection;
}

const ENDED: ReadonlySet<RunStatus> = new Set(['completed', 'failed', 'canceled']);

/** Follows one run until it has ended. */
export function useRunFeed(id: string, status: RunStatus | undefined): void {
  const queries = useQueryClient();
  const follows = status !== undefined && !ENDED.has(status);
  useEffect(() => {
    if (!follows) return;
    const source = new EventSource(`/api/v1/runs/${encodeURIComponent(id)}/stream`);
    source.addEventListener('run', ({ data }) => {
      const run = JSON.parse(data as string) as Run;
      queries.setQueryData(runQuery(id).queryKey, run);
      if (ENDED.has(run.status)) source.close();
    });
    return () => source.close();
  }, [id, follows, queries]);
}
