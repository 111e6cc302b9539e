import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { Json } from '../kernel/json.ts';
import type { Review } from './review.ts';
import type { Task } from './task-desk.ts';
import {
  ann,
  answerOf,
  bob,
  lea,
  olga,
  openTasksUnderTest,
  type TasksUnderTest,
} from './tasks-under-test.ts';

const FORM = `
title: Limits
outcome: decision
form:
  type: object
  required: [decision]
  additionalProperties: false
  properties: { decision: { enum: [approve, refuse] }, reason: { type: string } }
deadline: 2h
onDeadline: { decision: refuse }
`;
export const QUEUES = {
  two: `name: two${FORM}approvals: { of: 3, needed: 2, approve: [approve] }\n`,
  strict: `name: strict${FORM}approvals: { of: 3, needed: 2, approve: [approve], refusal: first }\n`,
  eyes: `name: eyes${FORM}approvals: { fourEyes: true, approve: [approve] }\namendable: true\n`,
  bands: `name: bands${FORM}confidence: [ { atLeast: 0.95, outcome: auto }, { atLeast: 0.7, outcome: review }, { outcome: double } ]
sampling: { share: 0.5, seed: a }
adjudicatorRoles: [lead]
`,
};
export const approve = { decision: 'approve' };
export const refuse = { decision: 'refuse' };
export const cem = { id: 'key_cem', name: 'Cem', roles: ['reviewer'] };

export interface Who {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly string[];
}

/** The inbox with queues that several people answer, and what their tests ask of it. */
export async function openReviewsUnderTest() {
  const inbox: TasksUnderTest = await openTasksUnderTest([ann, bob, lea, cem, olga]);
  for (const text of Object.values(QUEUES)) await inbox.define(text);
  /** The tasks that wait, by age. */
  const waiting = async (): Promise<Task[]> => {
    const { items } = await inbox.tasks.list({ statuses: ['open', 'claimed'], limit: 50 });
    return items;
  };
  return {
    inbox,
    waiting,
    /** Answers what the person has in hand, else the first that nobody has. */
    async answer(by: Who, result: Json = approve): Promise<Task> {
      const tasks = await waiting();
      const mine = tasks.find(({ claimedBy }) => claimedBy?.id === by.id);
      const task = mine ?? tasks.find(({ claimedBy }) => claimedBy === null);
      return await inbox.tasks.complete(await answerOf(inbox.tasks, task?.id ?? 'tsk_none', by, result));
    },
    /** What the runs were told. */
    signals: async () => (await inbox.notes('signal')).map((text) => JSON.parse(text)),
    review: async (id: string): Promise<Review | null> => (await inbox.tasks.get(id)).review,
  };
}

/** Opens such an inbox for the tests of the `describe` around, empty for each of them, and closes it. */
export function useReviewsUnderTest() {
  let world: Awaited<ReturnType<typeof openReviewsUnderTest>>;
  beforeAll(async () => {
    world = await openReviewsUnderTest();
  });
  beforeEach(() => world.inbox.reset());
  afterAll(() => world.inbox.database.close());
  return {
    get inbox() {
      return world.inbox;
    },
    waiting: () => world.waiting(),
    answer: (by: Who, result?: Json) => world.answer(by, result),
    signals: () => world.signals(),
    review: (id: string) => world.review(id),
  };
}
