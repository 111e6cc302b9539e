import { ManualClock } from '../kernel/clock.ts';
import { readDocument } from '../kernel/document.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { type Lane, type Write, write } from '../store/lane.ts';
import { columns } from '../store/rows.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { calendarKind } from './calendar-kind.ts';
import type { Person } from './candidates.ts';
import { taskMigrations } from './migrations.ts';
import { queueKind } from './queue-kind.ts';
import type { Task, TasksDependencies } from './task-desk.ts';
import { type OpenTask, Tasks } from './tasks.ts';

export const QUEUE = `
name: review
title: Returns to look at
instructions: Look at the history.
form:
  type: object
  required: [decision]
  additionalProperties: false
  properties:
    decision: { enum: [approve, refuse] }
    reason: { type: string }
deadline: 2h
onDeadline: { decision: refuse }
costPerMinuteUsd: 0.5
priority: 40
`;
export const HOUR_MS = 3_600_000;
/** A Wednesday, midnight in UTC. */
export const NOW_MS = Date.UTC(2011, 5, 1);
export const ann = { id: 'key_ann', name: 'Ann', roles: ['reviewer'], groups: ['returns'] };
export const bob = { id: 'key_bob', name: 'Bob', roles: ['reviewer'], groups: ['returns', 'fraud'] };
export const lea = { id: 'key_lea', name: 'Lea', roles: ['lead'], groups: [] };
export const olga = { id: 'key_olga', name: 'Olga', roles: ['operator'] };

const notesLane: Lane<{ kind: string; text: string }> = {
  name: 'notes',
  order: 50,
  async write(tx, items) {
    await tx.query(
      'insert into notes select * from unnest($1::text[], $2::text[])',
      columns(items, (item) => [item.kind, item.text]),
    );
    return undefined;
  },
};

/** The inbox over a database of its own; what belongs to other stations is kept as notes: `audit`, `event`, `signal`, `mail`. */
export interface TasksUnderTest {
  readonly database: TestDatabase;
  tasks: Tasks;
  clock: ManualClock;
  /** The tasks whose answer was told after its commit. */
  told: string[];
  define(text: string): Promise<void>;
  open(changes?: Partial<OpenTask>): Promise<ReturnType<Tasks['open']>>;
  notes(kind: string): Promise<string[]>;
  /** Another process over the same database. */
  another(): Tasks;
  /** Nothing is open and it is `NOW_MS`. */
  reset(): Promise<void>;
}

const note = (kind: string, text: string): Write => write(notesLane, { kind, text });

function dependenciesOf(
  self: TasksUnderTest,
  definitions: Definitions,
  people: readonly Person[],
): TasksDependencies {
  const { db, commit, limits } = self.database;
  return {
    db,
    commit,
    clock: self.clock,
    limits,
    definitions,
    people: { list: async () => people, find: async (id) => people.find((person) => person.id === id) },
    audit: ({ id }, { kind, by, detail }) =>
      note('event', [kind, by?.name ?? 'AIOS', id, JSON.stringify(detail)].join(' ')),
    notify: (type, _, data) => {
      if (type === 'refused') throw new AiosError('contracts.data_invalid');
      return note('mail', JSON.stringify({ type, ...data }));
    },
    answers: {
      record: (task, answer, review) => [
        ...(review ? [note('decided', JSON.stringify(review))] : []),
        note('audit', `${answer.by.id} ${task.contextDigest} ${answer.costMicroUsd}`),
      ],
      resume: (_: Task, payload: JsonObject) => note('signal', JSON.stringify(payload)),
      afterCommit: (task: Task) => void self.told.push(task.id),
    },
  };
}

export async function openTasksUnderTest(
  people: readonly Person[] = [ann, bob, lea],
): Promise<TasksUnderTest> {
  const database = await createTestDatabase([
    ...definitionMigrations,
    ...taskMigrations,
    { name: '9999_notes', sql: 'create table notes (kind text, text text)' },
  ]);
  const definitions = new Definitions(database.db);
  let count = 0;
  const create = () => new Tasks(dependenciesOf(self, definitions, people));
  const self: TasksUnderTest = {
    database,
    clock: new ManualClock(NOW_MS),
    tasks: undefined as unknown as Tasks,
    told: [],
    async define(text) {
      const kind = text.includes('timeZone:') ? calendarKind : queueKind;
      const { name, body } = kind.parse(readDocument(text, `${kind.folder}/a.yaml`), new Map());
      await database.commit.commit([
        definitions.put({ kind: kind.kind, name, body, source: text, createdBy: 'test' }),
      ]);
      await definitions.reload();
    },
    async open(changes = {}) {
      const opened = self.tasks.open({
        queue: 'review',
        title: 'Return r-1',
        context: { customer: 'c-1', amount: 30 },
        suggestion: { decision: 'approve' },
        runId: `run_${++count}`,
        stepKey: 'ask',
        ...changes,
      });
      await database.commit.commit(opened.writes);
      return opened;
    },
    notes: async (kind) =>
      (await database.db.query<{ text: string }>('select text from notes where kind = $1', [kind])).map(
        ({ text }) => text,
      ),
    another: create,
    async reset() {
      for (const table of [
        'tasks',
        'task_history',
        'task_reviews',
        'task_review_tasks',
        'task_routings',
        'notes',
      ])
        await database.db.queryDynamic(`delete from ${table}`);
      self.clock = new ManualClock(NOW_MS);
      self.told = [];
      self.tasks = create();
    },
  };
  await self.define(QUEUE);
  await self.reset();
  return self;
}

/** What a person answers with, bound to what the task shows. */
export async function answerOf(tasks: Tasks, id: string, by: Person, result: Json = { decision: 'approve' }) {
  const { contextDigest } = await tasks.get(id);
  return { id, by, result, contextDigest };
}
