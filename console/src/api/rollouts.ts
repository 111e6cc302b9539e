import { queryOptions } from '@tanstack/react-query';
import { get } from './request.ts';
import type { Page } from './shapes.ts';

interface SideFigures {
  requests: number;
  errors: number;
  errorRate: number | null;
  p50Ms: number | null;
  p95Ms: number | null;
  p99Ms: number | null;
}

export interface RolloutFigures {
  champion: SideFigures;
  challenger: SideFigures;
  comparison: {
    compared: number;
    agreement: number | null;
    differenceMean: number | null;
    differenceMax: number | null;
    dropped: number;
  };
}

export interface Rollout {
  id: string;
  model: string;
  alias: string;
  champion: number;
  challenger: number;
  plan: {
    kind: 'canary' | 'shadow' | 'ab';
    steps: { percent: number; waitSeconds?: number }[];
    thenPromote: boolean;
    guards: {
      samplesMin: number;
      windowSeconds: number;
      errorRateMax: number | null;
      latencyRatioMax: number | null;
      disagreementMax: number | null;
    };
    outcome: { name: string; alpha: number; higherIsBetter: boolean } | null;
  };
  status: 'running' | 'paused' | 'promoted' | 'rolled-back';
  percent: number;
  step: number;
  stepStartedAt: string;
  startedAt: string;
  endedAt?: string;
  reason?: string;
  conclusion?: { verdict: 'better' | 'worse'; difference: number; pValue: number };
}

export interface RolloutReport extends Rollout {
  figures: RolloutFigures;
  recent: RolloutFigures;
  test?: {
    championMean: number | null;
    challengerMean: number | null;
    difference: number | null;
    interval: [number, number] | null;
    pValue: number;
    samples: { champion: number; challenger: number };
  };
}

interface Standing {
  alias: string;
  version: number;
  approvalsNeeded: number;
  approvalsMissing: number;
  of?: string[];
  approvals: { person: string; name: string; decision: 'approve' | 'reject'; reason?: string }[];
  /** Why calls of the alias would be refused by the version. */
  misfits: { path: string; message: string }[];
}

export interface WaitingPromotion {
  requestedBy: { kind: string; id: string };
  requestedAt: string;
  waitsFor: Standing;
}

const READ_MS = 2_000;

export function modelPath(name: string): string {
  return `/api/v1/models/${encodeURIComponent(name)}`;
}

export const rolloutsQuery = (name: string) =>
  queryOptions({
    queryKey: ['model', name, 'rollouts'],
    queryFn: () => get<Page<Rollout>>(`${modelPath(name)}/rollouts`),
    refetchInterval: 5_000,
  });

/** Those that are under way. */
export function activeOf(rollouts: Page<Rollout> | undefined): Rollout[] {
  return rollouts?.items.filter(({ endedAt }) => endedAt === undefined) ?? [];
}

export const rolloutQuery = ({ model, id }: Pick<Rollout, 'model' | 'id'>) =>
  queryOptions({
    queryKey: ['model', model, 'rollouts', id],
    queryFn: () => get<RolloutReport>(`${modelPath(model)}/rollouts/${id}`),
    refetchInterval: READ_MS,
  });

export const promotionsQuery = (name: string) =>
  queryOptions({
    queryKey: ['model', name, 'promotions'],
    queryFn: () => get<Page<WaitingPromotion>>(`${modelPath(name)}/promotions`),
    refetchInterval: 5_000,
  });
