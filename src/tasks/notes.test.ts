import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Tasks } from './tasks.ts';
import {
  ann,
  answerOf,
  bob,
  NOW_MS,
  openTasksUnderTest,
  QUEUE,
  type TasksUnderTest,
} from './tasks-under-test.ts';

const ASKING = `${QUEUE.replace('name: review', 'name: asking')}allowReturn: true\n`;

describe('what is said about a task', () => {
  let on: TasksUnderTest;
  let tasks: Tasks;
  const history = async (id: string) =>
    (await tasks.notes.history(id)).map(({ kind, by, detail }) => [kind, by?.name ?? null, detail]);

  beforeAll(async () => {
    on = await openTasksUnderTest();
    await on.define(ASKING);
  });
  beforeEach(async () => {
    await on.reset();
    tasks = on.tasks;
  });
  afterAll(() => on.database.close());

  it('stays in its order, also after the end, and the same key says it once', async () => {
    const { taskId } = await on.open();
    const say = (text: string, key?: string) => tasks.notes.comment({ id: taskId, by: ann, text, key });
    await say('The receipt is missing.', 'k');
    await say('The receipt is missing.', 'k');
    on.clock.advanceBy(1_000);
    await say('It came.');
    on.clock.advanceBy(1_000);
    await tasks.complete(await answerOf(tasks, taskId, ann));
    on.clock.advanceBy(1_000);
    await say('Good.');
    expect((await history(taskId)).map(([kind, , detail]) => [kind, detail])).toEqual([
      ['opened', {}],
      ['commented', { text: 'The receipt is missing.' }],
      ['commented', { text: 'It came.' }],
      ['completed', {}],
      ['commented', { text: 'Good.' }],
    ]);
    expect(await on.notes('event')).toHaveLength(3);
  });

  it('is bounded, and says by which limit', async () => {
    const { taskId } = await on.open();
    const say = (text: string) => tasks.notes.comment({ id: taskId, by: ann, text });
    await expect(say('x'.repeat(10_001))).rejects.toMatchObject({
      code: 'tasks.too_large',
      extensions: { limitName: 'taskCommentCharsMax' },
    });
    await on.database.db.query(
      "insert into task_history (id, task_id, kind, at, detail) select 'tev_' || n, $1, 'commented', now(), '{}' from generate_series(1, 1000) n",
      [taskId],
    );
    await expect(say('One more.')).rejects.toMatchObject({
      code: 'tasks.history_full',
      extensions: { limitName: 'taskHistoryCountMax' },
    });
    await expect(tasks.notes.comment({ id: 'tsk_none', by: ann, text: 'x' })).rejects.toMatchObject({
      code: 'tasks.unknown',
    });
  });

  it('tells who saw it, the first time of each', async () => {
    const { taskId } = await on.open();
    for (const by of [ann, bob, ann]) await tasks.notes.seen(taskId, by);
    expect((await history(taskId)).slice(1)).toEqual([
      ['seen', 'Ann', {}],
      ['seen', 'Bob', {}],
    ]);
    expect(await on.notes('event')).toEqual([]);
  });

  it('goes back to the requester with a question, and on when the answer came', async () => {
    const first = await on.open({ queue: 'asking' });
    await tasks.claim(first.taskId, ann);
    on.clock.advanceBy(120_000);
    const { contextDigest } = await tasks.get(first.taskId);
    const question = { id: first.taskId, by: ann, message: 'Where is the receipt?', contextDigest };
    expect(await tasks.returnToRequester(question)).toMatchObject({
      status: 'returned',
      decidedBy: { name: 'Ann' },
      minutes: 2,
    });
    expect((await on.notes('signal')).map((text) => JSON.parse(text))).toEqual([
      {
        taskId: first.taskId,
        returned: true,
        message: 'Where is the receipt?',
        decidedBy: ann.id,
        decidedAtMs: NOW_MS + 120_000,
        minutes: 2,
      },
    ]);
    expect(await on.notes('audit')).toEqual([`key_ann ${contextDigest} 1000000`]);
    expect(await tasks.expire(first.taskId, NOW_MS)).toEqual({
      result: null,
      decidedBy: ann.id,
      returned: 'Where is the receipt?',
    });
    const second = await on.open({ queue: 'asking', continues: first.taskId, context: { receipt: 'r-9' } });
    expect(await tasks.get(second.taskId)).toMatchObject({
      status: 'claimed',
      claimedBy: { name: 'Ann' },
      continues: first.taskId,
    });
    expect(await history(second.taskId)).toEqual([
      ['opened', null, {}],
      ['claimed', 'Ann', {}],
      ['returned', 'Ann', { text: 'Where is the receipt?' }],
      ['opened', null, { continues: first.taskId }],
    ]);
  });

  it('goes back only where the queue says so, in time, bound to what was shown', async () => {
    const { taskId } = await on.open();
    const back = async (id: string, changes: object = {}) =>
      tasks.returnToRequester({ ...(await answerOf(tasks, id, ann)), message: 'Why?', ...changes });
    await expect(back(taskId)).rejects.toMatchObject({ code: 'tasks.return_not_allowed' });
    const asking = await on.open({ queue: 'asking' });
    await expect(back(asking.taskId, { contextDigest: 'sha256:0' })).rejects.toMatchObject({
      code: 'tasks.context_changed',
    });
    await tasks.claim(asking.taskId, bob);
    await expect(back(asking.taskId)).rejects.toMatchObject({ code: 'tasks.claimed_by_other' });
    on.clock.advanceTo(asking.deadlineAtMs!);
    await expect(back(asking.taskId, { by: bob })).rejects.toMatchObject({ code: 'tasks.not_open' });
    expect(await on.notes('signal')).toEqual([]);
  });
});
