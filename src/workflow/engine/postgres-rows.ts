import type { Json } from '../../kernel/json.ts';
import type { Database } from '../../store/database.ts';
import { readPayloads } from './payloads.ts';
import {
  type Entry,
  eventInput,
  type Origin,
  type PayloadRef,
  type RunResult,
  type RunStatus,
  type StoredRun,
} from './stored-run.ts';

/** As they are stored: a large value lies apart. */
export type StoredOrigin = Origin & { inputRef?: PayloadRef };
export type StoredResult = RunResult & { outputRef?: PayloadRef };

/** A row of runs as Postgres gives it. */
export interface ListedRow {
  id: string;
  workflow: string;
  version: number;
  epoch: number;
  status: RunStatus;
  requested: 'cancel' | 'pause' | null;
  attempt: number;
  request: string | null;
  waiting_for: string | null;
  wake_at: number | null;
  idempotency_key: string | null;
  started_at: number;
  updated_at: number;
  subject: string | null;
  outcome: string | null;
}

export interface RunRow extends ListedRow {
  origin: StoredOrigin;
  result: StoredResult | null;
  entries: Entry[];
}

/** The columns of a row in a list. */
export const LISTED =
  'r.id, r.workflow, r.version, r.epoch, r.status, r.requested, r.attempt, r.request, r.waiting_for, r.wake_at, r.idempotency_key, r.started_at, r.updated_at, r.subject, r.outcome';

/** Those of a run, without the journal. */
export const READ = `${LISTED}, r.origin, r.result`;

/** Runs as they were before large values were put apart. */
export async function wholeRuns(db: Database, rows: readonly RunRow[]): Promise<StoredRun[]> {
  const bodies = await readPayloads(db, rows.flatMap(refsOf));
  return rows.map((row) => fromRow(row, bodies));
}

type Values = Pick<RunRow, 'origin' | 'result'>;

export function refsOf({ origin, result }: Values): PayloadRef[] {
  return [origin.inputRef ?? [], result?.outputRef ?? []].flat();
}

export function wholeValues(
  row: Values,
  bodies: ReadonlyMap<string, unknown>,
): { origin: Origin; result: RunResult | null } {
  const { inputRef, ...origin } = row.origin;
  if (origin.event && !origin.edited) origin.input = eventInput(origin.event);
  else if (inputRef) origin.input = bodies.get(inputRef.digest) as Json;
  if (!row.result?.outputRef) return { origin, result: row.result };
  const { outputRef, ...others } = row.result;
  return { origin, result: { ...others, output: bodies.get(outputRef.digest) as Json } };
}

function fromRow({ entries: _, ...row }: RunRow, bodies: ReadonlyMap<string, unknown>): StoredRun {
  return { ...listedRun(row), ...wholeValues(row, bodies) };
}

export function listedRun<Row extends ListedRow>(row: Row) {
  const { waiting_for, wake_at, idempotency_key, started_at, updated_at, ...rest } = row;
  return {
    ...rest,
    waitingFor: waiting_for,
    wakeAtMs: wake_at,
    idempotencyKey: idempotency_key,
    startedAtMs: started_at,
    updatedAtMs: updated_at,
  };
}
