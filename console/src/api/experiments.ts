import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { get } from './request.ts';
import type { Page } from './shapes.ts';

/** What training runs are listed under. */
export interface Experiment {
  id: string;
  name: string;
  tags: Record<string, string>;
  createdAt: string;
  updatedAt: string;
}

export interface TrainingRun {
  id: string;
  name: string;
  user: string;
  status: 'RUNNING' | 'SCHEDULED' | 'FINISHED' | 'FAILED' | 'KILLED';
  startedAt?: string;
  endedAt?: string;
  params: Record<string, string>;
  tags: Record<string, string>;
  /** The last value of each; NaN and infinities are texts. */
  metrics: Record<string, number | string>;
  /** Of models, made of it. */
  versions: { name: string; version: number }[];
}

/** One run as its page tells it. */
export interface WholeTrainingRun extends TrainingRun {
  experiment: { id: string; name: string };
  /** What it read, as its script said. */
  datasets: { name?: string; digest?: string; context?: string; sourceType?: string; source?: string }[];
}

/** What lies in a folder of a run's files; paths begin at the run. */
export interface TrainingFile {
  path: string;
  is_dir: boolean;
  file_size?: number;
}

export interface MetricValue {
  step: number;
  value: number | string;
  at: string;
}

/** What a list is ordered by, such as `metrics.auc DESC`, and narrowed to, as MLflow writes both. */
export interface TrainingRunFilters {
  filter?: string;
  orderBy?: string;
}

// A script that died leaves its run as running: it is asked for as long as somebody looks.
const ACTIVE_MS = 5_000;
const IDLE_MS = 10_000;

export function experimentPath(name: string): string {
  return `/api/v1/experiments/${encodeURIComponent(name)}`;
}

export const experimentsQuery = infiniteQueryOptions({
  queryKey: ['experiments'],
  queryFn: ({ pageParam }) => get<Page<Experiment>>('/api/v1/experiments', { cursor: pageParam, limit: 100 }),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (page) => page.nextCursor ?? undefined,
  refetchInterval: IDLE_MS,
});

/** The experiment of an id, as MLflow's clients name it in their links; null where there is none. */
export const experimentQuery = (id: string) =>
  queryOptions({
    queryKey: ['experiments', 'of id', id],
    queryFn: async () => {
      const filter = `attributes.experiment_id = '${id}'`;
      return (await get<Page<Experiment>>('/api/v1/experiments', { filter })).items[0] ?? null;
    },
  });

export function trainingRunPath(id: string): string {
  return `/api/v1/training-runs/${encodeURIComponent(id)}`;
}

export const trainingRunQuery = (id: string) =>
  queryOptions({
    queryKey: ['training-runs', id],
    queryFn: () => get<WholeTrainingRun>(trainingRunPath(id)),
    refetchInterval: ({ state }) => (state.data && isActive(state.data) ? ACTIVE_MS : false),
  });

/** MLflow's own call: what its clients wrote is listed as they list it. */
export const trainingFilesQuery = (run: Pick<TrainingRun, 'id' | 'status'>, folder: string) =>
  queryOptions({
    queryKey: ['training-runs', run.id, 'files', folder, run.status],
    queryFn: () =>
      get<{ root_uri: string; files: TrainingFile[] }>('/api/2.0/mlflow/artifacts/list', {
        run_id: run.id,
        path: folder,
      }),
    refetchInterval: isActive(run) ? ACTIVE_MS : false,
  });

/** Where the bytes of a file are. @example trainingFilePath('mlflow-artifacts:/1/ab/artifacts', 'plot.png') */
export function trainingFilePath(root: string, path: string): string {
  const whole = `${root.replace(/^mlflow-artifacts:\/+/, '')}/${path}`;
  return `/api/2.0/mlflow-artifacts/artifacts/${whole.split('/').map(encodeURIComponent).join('/')}`;
}

export const trainingRunsQuery = (experiment: string, filters: TrainingRunFilters) =>
  infiniteQueryOptions({
    queryKey: ['experiments', experiment, 'runs', filters],
    queryFn: ({ pageParam }) =>
      get<Page<TrainingRun>>(`${experimentPath(experiment)}/runs`, {
        ...filters,
        cursor: pageParam,
        limit: 50,
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    refetchInterval: ({ state }) =>
      state.data?.pages.some(({ items }) => items.some(isActive)) ? ACTIVE_MS : IDLE_MS,
  });

/** All values that are kept; asked again while the run goes on. */
export const metricQuery = (run: Pick<TrainingRun, 'id' | 'status'>, key: string) =>
  queryOptions({
    queryKey: ['training-runs', run.id, key, run.status],
    queryFn: () => get<Page<MetricValue>>(`${trainingRunPath(run.id)}/metrics/${encodeURIComponent(key)}`),
    refetchInterval: isActive(run) ? ACTIVE_MS : false,
  });

function isActive({ status }: Pick<TrainingRun, 'status'>): boolean {
  return status === 'RUNNING' || status === 'SCHEDULED';
}
