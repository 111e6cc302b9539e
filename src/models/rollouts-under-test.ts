import { ManualClock } from '../kernel/clock.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { type Lane, type Write, write } from '../store/lane.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { modelMigrations } from './lanes.ts';
import { createModels } from './models.ts';
import type { PromotionPolicy } from './promotion-policy.ts';
import { Promotions } from './promotions.ts';
import { type CountedSplit, newCounts } from './rollout-counting.ts';
import type { SideCounts } from './rollout-figures.ts';
import { RolloutRunner } from './rollout-runner.ts';
import { Rollouts, type Split } from './rollouts.ts';
import type { Signature } from './signature.ts';

export const BY = { kind: 'key', id: 'key_operator' };
const TENSORS: Pick<Signature, 'inputs' | 'outputs'> = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
};

/** What the audit log would be told. */
interface Told {
  readonly action: string;
  readonly by: { id: string };
  readonly reason?: string | null;
  readonly figures?: unknown;
}

/** What one process has of rollouts, over a database that others share; its traffic is what a test says. */
export class ProcessUnderTest {
  readonly #counted: CountedSplit[] = [];
  splits: readonly Split[] = [];
  readonly prepared: string[] = [];
  /** Set to let a version fail to start here. */
  unprepared: Error | undefined;
  readonly errors: unknown[] = [];
  /** Of the versions that are registered. */
  tensors = TENSORS;
  readonly models;
  readonly promotions;
  readonly rollouts;
  readonly runner;

  constructor({ database, clock, definitions, told }: Shared) {
    const { db, commit } = database;
    const audit: Lane<Told> = {
      name: 'audit of the test',
      order: 50,
      async write(_tx, items) {
        told.push(...items);
        return undefined;
      },
    };
    const record = (change: Told): Write[] => [write(audit, change)];
    const ground = {
      db,
      commit,
      clock,
      definitions,
      limits: limitsFrom('rolloutPollMs=20,rolloutCountMs=60000'),
    };
    this.models = createModels({
      ...ground,
      runtimes: { onnx: {} },
      verify: async () => ({ ok: true, ...this.tensors }),
      record: ({ kind, ...change }) => record({ action: kind, ...change }),
    });
    const traffic = {
      prepare: async (model: string, version: number) => {
        if (this.unprepared) throw this.unprepared;
        this.prepared.push(`${model}/${version}`);
      },
      put: (splits: readonly Split[]) => {
        this.splits = splits;
      },
      drain: () => this.#counted.splice(0),
      sideOf: (_split: Split, key: string) =>
        key.startsWith('new') ? ('challenger' as const) : ('champion' as const),
    };
    this.promotions = new Promotions({ ...ground, models: this.models, record });
    this.rollouts = new Rollouts({
      ...ground,
      models: this.models,
      traffic,
      approvals: this.promotions,
      record,
    });
    this.runner = new RolloutRunner({
      ...ground,
      rollouts: this.rollouts,
      models: this.models,
      traffic,
      onError: (error) => void this.errors.push(error),
    });
  }

  /** As if the versions had answered. */
  count(id: string, champion: Partial<SideCounts>, challenger: Partial<SideCounts>): void {
    const counts = newCounts();
    this.#counted.push({
      id,
      champion: { ...counts.champion, ...champion },
      challenger: { ...counts.challenger, ...challenger },
    });
  }

  async register(name: string, text: string, card = {}, by = BY, startedBy?: string): Promise<number> {
    const onnx = new TextEncoder().encode(text);
    return (await this.models.register({ name, onnx, card, by, startedBy })).version;
  }
}

export interface Shared {
  readonly database: TestDatabase;
  readonly clock: ManualClock;
  readonly definitions: Definitions;
  readonly told: Told[];
}

export async function share(): Promise<Shared> {
  const database = await createTestDatabase([...definitionMigrations, ...modelMigrations]);
  return { database, clock: new ManualClock(1_000_000), definitions: new Definitions(database.db), told: [] };
}

/** Puts a policy into force, as applying a project does. */
export async function setPolicy(
  { database, definitions }: Shared,
  name: string,
  promotion: PromotionPolicy,
): Promise<void> {
  const body = { name, file: 'a.onnx', promotion: JSON.parse(JSON.stringify(promotion)) };
  await database.commit.commit([
    definitions.put({ kind: 'model', name, body, source: '', createdBy: 'test' }),
  ]);
  await definitions.reload();
}

/** So many requests, each of which took so long. */
export function answered(requests: number, ms: number, errors = 0): Partial<SideCounts> {
  const bucket = Math.floor(8 * Math.log2(ms * 1000));
  return { requests, errors, latencies: { [bucket]: requests - errors } };
}
