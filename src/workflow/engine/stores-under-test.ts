import type { Lane } from '../../store/lane.ts';
import { columns } from '../../store/rows.ts';
import { createTestDatabase } from '../../testing/database.ts';
import type { StoreFixture } from './engine-conformance-world.ts';
import { MemoryRunStore } from './memory-store.ts';
import { workflowMigrations } from './migrations.ts';
import { PostgresRunStore } from './postgres-store.ts';

/** Rows in this process. */
export async function memoryFixture(): Promise<StoreFixture> {
  let store = new MemoryRunStore();
  const written: string[] = [];
  const notes: Lane<string> = {
    name: 'notes',
    order: 90,
    write: async (_tx, items) => {
      written.push(...items);
      return undefined;
    },
  };
  return {
    open: () => store,
    transaction: async (work) => {
      const before = written.length;
      try {
        return await store.transaction(work);
      } catch (error) {
        written.length = before;
        throw error;
      }
    },
    notes,
    readNotes: async () => written,
    reset: async () => {
      store = new MemoryRunStore();
      written.length = 0;
    },
    close: async () => {},
  };
}

const TABLES = [
  'workflow_bulks',
  'workflow_attributes',
  'workflow_attempts',
  'workflow_payload_refs',
  'workflow_payloads',
  'workflow_runs',
  'workflow_journal',
  'workflow_signals',
  'workflow_subscriptions',
  'workflow_workers',
  'workflow_schedules',
  'workflow_queued',
  'workflow_queue_lines',
  'workflow_queue_starts',
  'workflow_queues',
  'notes',
];

/** A lane of another module, in the table `notes`. */
export const notes: Lane<string> = {
  name: 'notes',
  order: 90,
  async write(tx, items) {
    await tx.query(
      'insert into notes select * from unnest($1::text[])',
      columns(items, (item) => [item]),
    );
    return undefined;
  },
};

/** Rows in a database of its own. */
export async function postgresFixture(): Promise<StoreFixture> {
  const database = await createTestDatabase([
    ...workflowMigrations,
    { name: '0990_notes', sql: 'create table notes (body text not null)' },
  ]);
  const { db, commit, limits } = database;
  return {
    open: () => new PostgresRunStore(db, commit, limits.payloadInlineBytesMax),
    transaction: (work) => db.transaction(work),
    notes,
    readNotes: async () =>
      (await db.query<{ body: string }>('select body from notes')).map(({ body }) => body),
    reset: async () => {
      // An engine that the test before let crash may have a flush under way, whose locks a truncate would meet crosswise; one writer flushes in order.
      await commit.commit([{ lane: notes, item: 'after those before' }]);
      // One by one: a statement that locks all tables meets those of a killed engine crosswise.
      for (const table of TABLES) await db.queryDynamic(`delete from ${table}`);
    },
    close: () => database.close(),
  };
}

/** Every store, for `describe.each`. */
export const STORES = [
  ['the memory store', memoryFixture],
  ['the Postgres store', postgresFixture],
] as const;
