import { systemClock } from '../kernel/clock.ts';
import type { LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import { readDocument } from '../kernel/document.ts';
import type { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Queryable } from '../store/database.ts';
import type { DefinitionKind } from '../store/definition-kind.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import type { KeptLog } from './build-from-log.ts';
import { CachedOnlineStore } from './cached-online-store.ts';
import { FeatureStore, type StreamProgress } from './feature-store.ts';
import { FeatureFreshness } from './freshness.ts';
import { FunctionModules } from './functions/function-modules.ts';
import { heldViewsOf } from './held-views.ts';
import { featureMigrations } from './migrations.ts';
import { PostgresOnlineStore } from './online-store.ts';
import { FeaturePush } from './push.ts';
import { PushedRows } from './pushed-rows.ts';
import type { RowStores } from './row-features.ts';
import { TableSources } from './table-source.ts';
import { FeatureViews } from './views.ts';
import type { FeatureValue } from './windows/state.ts';

export const DAY = 86_400_000;

export interface Line {
  product: string;
  amount: number | null;
}

/** An order of `lines` as it stands in the log. */
export function order(
  customer: string | null,
  timeMs: number,
  position: LogPosition,
  lines: readonly (Line | JsonObject)[],
): LoggedEvent {
  return {
    ...position,
    timeMs,
    recordedAtMs: 0,
    event: {
      specversion: '1.0',
      id: `${position.partition}-${position.offset}`,
      source: 's',
      type: 'order',
      time: new Date(timeMs).toISOString(),
      data: { customer, lines } as unknown as JsonObject,
    },
  };
}

/** Applies one definition, unplanned. */
export async function putDefinition(
  { db, commit }: Pick<TestDatabase, 'db' | 'commit'>,
  kind: DefinitionKind,
  source: string,
): Promise<void> {
  const { name, body } = kind.parse(readDocument(source, `${kind.folder}/x.yaml`), new Map());
  await commit.commit([new Definitions(db).put({ kind: kind.kind, name, body, source, createdBy: 'test' })]);
}

/** What one process holds of the features. */
export interface FeatureProcess {
  readonly definitions: Definitions;
  readonly views: FeatureViews;
  readonly store: FeatureStore;
  readonly rows: RowStores;
  readonly freshness: FeatureFreshness;
  /** What the views could not be built from. */
  readonly errors: AiosError[];
}

/** A database with the features' tables and two log partitions, and the processes over it. */
export class FeaturesUnderTest {
  readonly database: TestDatabase;
  /** Where the log begins, as every process is told. */
  begin: KeptLog | undefined;

  private constructor(database: TestDatabase) {
    this.database = database;
  }

  static async open(): Promise<FeaturesUnderTest> {
    return new FeaturesUnderTest(
      await createTestDatabase([
        ...definitionMigrations,
        ...featureMigrations,
        {
          name: '0020_offsets',
          sql: "create table event_consumers (consumer_group text, partition smallint, log_offset bigint); insert into event_consumers values ('features', 0, 0), ('features', 1, 0)",
        },
      ]),
    );
  }

  put(kind: DefinitionKind, source: string): Promise<void> {
    return putDefinition(this.database, kind, source);
  }

  /** A process that knows the definitions and reads `log`; its views join when it says `sync`. */
  async process(
    log: readonly LoggedEvent[] = [],
    reads: Queryable = this.database.db,
    progress: StreamProgress = { passed: async () => {}, continuity: () => 0, offset: () => 0 },
  ): Promise<FeatureProcess> {
    const { db, limits } = this.database;
    const definitions = new Definitions(db, heldViewsOf);
    await definitions.reload();
    const errors: AiosError[] = [];
    const views = new FeatureViews({
      db,
      definitions,
      group: 'features',
      readLog: async (partition, offset, count) =>
        log.filter((logged) => logged.partition === partition && logged.offset >= offset).slice(0, count),
      logBegin: async () => this.begin,
      onError: (error) => errors.push(error),
      functions: {
        registered: {
          round: ({ features, request }) => Math.ceil(Number(features.score) * Number(request.amount)),
        },
        modules: new FunctionModules(this.database.limits),
      },
    });
    const rows = {
      online: new CachedOnlineStore(new PostgresOnlineStore(db), db, limits),
      tables: new TableSources(db, ['shop']),
      pushed: new PushedRows(db),
    };
    const freshness = new FeatureFreshness({ db, clock: systemClock, limits });
    const store = new FeatureStore({
      db: reads,
      views,
      clock: systemClock,
      limits,
      progress,
      rows,
      freshness,
    });
    return { definitions, views, store, rows, freshness, errors };
  }

  /** A process whose views are in force. */
  async start(
    log?: readonly LoggedEvent[],
    reads?: Queryable,
    progress?: StreamProgress,
  ): Promise<FeatureProcess> {
    const process = await this.process(log, reads, progress);
    await process.views.sync();
    return process;
  }

  /** Commits a batch as the consumer does; what it gives is to be called as the news of the commit. */
  commit({ store }: FeatureProcess, events: readonly LoggedEvent[]): Promise<() => void> {
    return this.database.db.transaction(async (tx) => {
      const follow = await store.handle(events, tx);
      for (const { partition, offset } of events)
        await tx.query(
          'update event_consumers set log_offset = greatest(log_offset, $2) where partition = $1',
          [partition, offset + 1],
        );
      return follow;
    });
  }

  async feed(process: FeatureProcess, events: readonly LoggedEvent[]): Promise<void> {
    (await this.commit(process, events))();
  }

  close(): Promise<void> {
    return this.database.close();
  }
}

/** The features of one customer by name. */
export async function featuresOf(
  { store }: FeatureProcess,
  service: string,
  customer: string,
  timeMs?: number,
  position?: LogPosition,
): Promise<Record<string, FeatureValue>> {
  const { names, rows } = await store.online({
    service,
    entities: [{ customer }],
    ...(timeMs === undefined ? {} : { asOf: { timeMs, position } }),
    request: { request_at: (timeMs ?? 0) - DAY },
  });
  return Object.fromEntries(names.map((name, i) => [name, rows[0]![i]!]));
}

/** What takes rows that are pushed, at a time of the test's choosing. */
export function pushOf(
  { database: { db } }: FeaturesUnderTest,
  { views, rows, freshness }: FeatureProcess,
  now: () => number,
): { push: FeaturePush } {
  return { push: new FeaturePush({ db, views, rows, clock: { now }, freshness }) };
}
