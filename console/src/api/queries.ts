import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import type { DeadLetter, LoggedEvent } from './events.ts';
import { get } from './request.ts';
import type {
  Attachment,
  AuditEntry,
  Bulk,
  Candidate,
  Happening,
  Json,
  Kpis,
  Me,
  Model,
  Page,
  QueueQuality,
  Run,
  RunQueue,
  RunSummary,
  Schedule,
  Task,
  VersionInUse,
} from './shapes.ts';

const DAY_MS = 86_400_000;

/** A list of the API, a page at a time. */
export const pagesOf = <Item>(
  queryKey: readonly unknown[],
  path: string,
  query: Record<string, string | number | boolean | undefined>,
) =>
  infiniteQueryOptions({
    queryKey,
    queryFn: ({ pageParam }) => get<Page<Item>>(path, { ...query, cursor: pageParam }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
  });

/** Every question that the pages ask, by the key under which the answer is kept. */
export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: () => get<Me>('/api/v1/me'),
  retry: false,
});

export const kpisQuery = queryOptions({ queryKey: ['kpis'], queryFn: () => get<Kpis>('/api/v1/kpis') });

export interface RunFilters {
  workflow?: string;
  status?: string;
  version?: string;
  from?: string;
  q?: string;
  /** `orderId`, or `total.gte`, with the value. */
  attribute?: { name: string; value: string };
}

/** The filters as the API has them in an address. */
export function runsPath({ attribute, ...filters }: RunFilters): Record<string, string | undefined> {
  return { ...filters, ...(attribute ? { [`attr.${attribute.name}`]: attribute.value } : {}) };
}

export const runsQuery = (filters: RunFilters, limit: number) =>
  pagesOf<RunSummary>(['runs', filters, limit], '/api/v1/runs', { ...runsPath(filters), limit });

/** With an attempt: the run as it was at the end of that one. */
export const runQuery = (id: string, attempt?: string) =>
  queryOptions({
    queryKey: attempt ? ['run', id, attempt] : ['run', id],
    queryFn: () => get<Run>(`/api/v1/runs/${encodeURIComponent(id)}`, { attempt }),
  });

export const bulkQuery = (id: string) =>
  queryOptions({ queryKey: ['bulk', id], queryFn: () => get<Bulk>(`/api/v1/bulk-operations/${id}`) });

export const versionsQuery = (workflow: string) =>
  queryOptions({
    queryKey: ['versions', workflow],
    queryFn: () =>
      get<Page<VersionInUse>>(`/api/v1/workflows/${encodeURIComponent(workflow)}/versions-in-use`),
  });

/** A large value of a step: it never changes. */
export const payloadQuery = (runId: string, digest: string) =>
  queryOptions({
    queryKey: ['run', runId, 'payload', digest],
    queryFn: () => get<{ value: Json }>(`/api/v1/runs/${runId}/payloads/${digest}`),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const runQueuesQuery = queryOptions({
  queryKey: ['run-queues'],
  queryFn: () => get<Page<RunQueue>>('/api/v1/run-queues'),
});

export const schedulesQuery = queryOptions({
  queryKey: ['schedules'],
  queryFn: () => get<Page<Schedule>>('/api/v1/schedules'),
});

export const workflowsQuery = queryOptions({
  queryKey: ['workflows'],
  queryFn: () => get<Page<{ name: string; version: number }>>('/api/v1/workflows'),
  staleTime: 60_000,
});

/** `mine` is what waits for who asks; other words are statuses. */
export const tasksQuery = (status: string, limit = 100) =>
  queryOptions({
    queryKey: ['tasks', status, limit],
    queryFn: () => get<Page<Task>>('/api/v1/tasks', { ...taskFilters(status), limit }),
  });

/** The same a page at a time, for a list that goes on. */
export const taskPagesQuery = (status: string) =>
  pagesOf<Task>(['tasks', status, 'pages'], '/api/v1/tasks', { ...taskFilters(status), limit: 100 });

export function taskFilters(status: string): { status: string; forMe?: boolean } {
  return status === 'mine' ? { status: 'waiting', forMe: true } : { status };
}

// Under the key of the task: what changes a task is read again with it.
const ofTask = <Item>(id: string, what: string) =>
  queryOptions({
    queryKey: ['task', id, what],
    queryFn: () => get<{ items: Item[] }>(`/api/v1/tasks/${encodeURIComponent(id)}/${what}`),
  });

export const taskHistoryQuery = (id: string) => ofTask<Happening>(id, 'history');
export const taskAttachmentsQuery = (id: string) => ofTask<Attachment>(id, 'attachments');
export const candidatesQuery = (id: string) => ofTask<Candidate>(id, 'candidates');

export const taskQuery = (id: string) =>
  queryOptions({
    queryKey: ['task', id],
    queryFn: () => get<Task>(`/api/v1/tasks/${encodeURIComponent(id)}`),
  });

export const queuesQuery = queryOptions({
  queryKey: ['queues'],
  queryFn: () => get<Page<{ name: string; version: number }>>('/api/v1/queues'),
  staleTime: 60_000,
});

export const qualityQuery = (queue: string, days: number) =>
  queryOptions({
    queryKey: ['quality', queue, days],
    queryFn: () =>
      get<QueueQuality>(`/api/v1/queues/${encodeURIComponent(queue)}/quality`, {
        from: new Date(Date.now() - days * DAY_MS).toISOString(),
      }),
  });

export const modelsQuery = queryOptions({
  queryKey: ['models'],
  queryFn: () => get<Page<Model>>('/api/v1/models'),
});

/** A flow as a picture; a version of it never changes. */
export const flowGraphQuery = (name: string, version: number) =>
  queryOptions({
    queryKey: ['flow-graph', name, version],
    queryFn: () =>
      get<Run['graph']>(`/api/v1/workflows/${encodeURIComponent(name)}/graph?version=${version}`),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const modelQuery = (name: string) =>
  queryOptions({
    queryKey: ['model', name],
    queryFn: () => get<Model>(`/api/v1/models/${encodeURIComponent(name)}`),
    refetchInterval: 5_000,
  });

export const eventsQuery = (filters: { type?: string; source?: string; subject?: string; filter?: string }) =>
  pagesOf<LoggedEvent>(['events', filters], '/api/v1/events', { ...filters, limit: 50 });

export const deadLettersQuery = pagesOf<DeadLetter>(['dead-letters'], '/api/v1/dead-letters', {
  status: 'open',
  limit: 100,
});

export const auditQuery = (filters: { object?: string; kind?: string }) =>
  pagesOf<AuditEntry>(['audit', filters], '/api/v1/audit/entries', { ...filters, limit: 50 });

export const auditEntryQuery = (index: number) =>
  queryOptions({
    queryKey: ['audit-entry', index],
    queryFn: () => get<AuditEntry>(`/api/v1/audit/entries/${index}`),
  });
