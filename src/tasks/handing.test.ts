import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Person } from './candidates.ts';
import type { Tasks } from './tasks.ts';
import {
  ann,
  answerOf,
  bob,
  HOUR_MS,
  lea,
  NOW_MS,
  olga,
  openTasksUnderTest,
  QUEUE,
  type TasksUnderTest,
} from './tasks-under-test.ts';

const adam = { id: 'key_adam', name: 'Adam', roles: ['admin'] };
const stranger = { id: 'key_out', name: 'Otto', roles: ['reviewer'], groups: ['other'] };
const FRAUD = `${QUEUE.replace('name: review', 'name: fraud')}candidateGroups: [fraud]\n`;
const CALENDAR =
  'name: office\ntimeZone: UTC\nhours: { wednesday: ["09:00-17:00"], thursday: ["09:00-17:00"] }';
const TIMED = `${QUEUE.replace('name: review', 'name: timed').replace('deadline: 2h', 'deadline: 1d')}calendar: office\ndue: PT6H\n`;

describe('tasks in hand', () => {
  let on: TasksUnderTest;
  let tasks: Tasks;
  const waiting = async (person: Person) =>
    (await tasks.list({ statuses: ['open', 'claimed'], limit: 50, ...tasks.waitingFor(person) })).items.map(
      ({ id }) => id,
    );
  const history = async (id: string) =>
    (await tasks.notes.history(id)).map(({ kind, by, detail }) => [kind, by?.name ?? null, detail]);

  beforeAll(async () => {
    on = await openTasksUnderTest([ann, bob, lea, stranger]);
    for (const text of [CALENDAR, FRAUD, TIMED]) await on.define(text);
  });
  beforeEach(async () => {
    await on.reset();
    tasks = on.tasks;
  });
  afterAll(() => on.database.close());

  it('are for the groups of their queue, or for their own instead', async () => {
    const { taskId: fraud } = await on.open({ queue: 'fraud' });
    const { taskId: returns } = await on.open({ queue: 'fraud', groups: ['returns'], priority: 39 });
    const { taskId: open } = await on.open({ priority: 38 });
    await expect(tasks.claim(fraud, ann)).rejects.toMatchObject({
      code: 'tasks.not_candidate',
      message: expect.stringContaining('fraud'),
    });
    expect(await waiting(ann)).toEqual([returns, open]);
    expect(await waiting(bob)).toEqual([fraud, returns, open]);
    expect(await waiting(stranger)).toEqual([open]);
    expect(await waiting(adam)).toEqual([fraud, returns, open]);
    await tasks.claim(open, bob);
    expect(await waiting(ann)).toEqual([returns]);
    expect(await tasks.claim(fraud, adam)).toMatchObject({ claimedBy: { name: 'Adam' } });
    const byAnswer = tasks.complete(await answerOf(tasks, returns, stranger));
    await expect(byAnswer).rejects.toMatchObject({ code: 'tasks.not_candidate' });
  });

  it('have dates of their own or of their queue, in working time where it has a calendar', async () => {
    const { taskId, deadlineAtMs } = await on.open({ queue: 'timed' });
    expect(deadlineAtMs).toBe(NOW_MS + 33 * HOUR_MS); // Thursday 9:00: a working day after Wednesday's opening
    expect(await tasks.get(taskId)).toMatchObject({
      dueAt: NOW_MS + 15 * HOUR_MS,
      deadlineAt: NOW_MS + 33 * HOUR_MS,
      followUpAt: null,
    });
    const own = await on.open({
      queue: 'timed',
      due: 'PT9H',
      deadline: '2011-06-03T12:00:00Z',
      followUp: 'PT9H',
    });
    expect(await tasks.get(own.taskId)).toMatchObject({
      dueAt: NOW_MS + 34 * HOUR_MS,
      deadlineAt: NOW_MS + 60 * HOUR_MS,
      followUpAt: NOW_MS + 9 * HOUR_MS,
    });
    expect(() =>
      tasks.open({
        queue: 'review',
        title: 't',
        context: {},
        runId: 'r',
        stepKey: 's',
        due: '2011-06-99T00:00:00Z',
      }),
    ).toThrow(expect.objectContaining({ code: 'definition.duration' }));
  });

  it('are sorted by priority, then by due date, those without one last, page by page', async () => {
    const ids: string[] = [];
    for (const [priority, due] of [
      [40, undefined],
      [40, 'PT5H'],
      [90, undefined],
      [40, 'PT1H'],
      [90, 'PT9H'],
    ] as const)
      ids.push((await on.open({ priority, due, nowMs: NOW_MS + ids.length })).taskId);
    const found: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await tasks.list({ statuses: ['open'], limit: 1, cursor });
      found.push(...page.items.map(({ id }) => id));
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    expect(found).toEqual([ids[4], ids[2], ids[3], ids[1], ids[0]]);
    on.clock.advanceBy(90 * 60_000);
    expect(await tasks.counts()).toMatchObject([{ open: 5, overdue: 1 }]);
  });

  it('are put off until a time, by who has them', async () => {
    const { taskId } = await on.open({ followUp: 'PT1H' });
    expect(await waiting(ann)).toEqual([]);
    on.clock.advanceBy(HOUR_MS);
    expect(await waiting(ann)).toEqual([taskId]);
    await tasks.claim(taskId, ann);
    const until = NOW_MS + 30 * HOUR_MS;
    await expect(tasks.handing.putOff(taskId, bob, until)).rejects.toMatchObject({
      code: 'tasks.claimed_by_other',
    });
    await tasks.handing.putOff(taskId, ann, until);
    await tasks.handing.putOff(taskId, ann, until);
    expect(await waiting(ann)).toEqual([]);
    await tasks.handing.putOff(taskId, ann, null);
    expect(await waiting(ann)).toEqual([taskId]);
    expect((await history(taskId)).slice(2)).toEqual([
      ['put-off', 'Ann', { until: new Date(until).toISOString() }],
      ['put-off', 'Ann', { until: null }],
    ]);
  });

  it('are delegated to another, who answers for their owner', async () => {
    const { taskId } = await on.open();
    await expect(tasks.handing.delegate(taskId, ann, bob.id)).rejects.toMatchObject({
      code: 'tasks.not_claimed',
    });
    await tasks.claim(taskId, ann);
    await expect(tasks.handing.delegate(taskId, lea, bob.id)).rejects.toMatchObject({
      code: 'tasks.claimed_by_other',
    });
    expect(await tasks.handing.delegate(taskId, ann, bob.id, 'You know them.')).toMatchObject({
      claimedBy: { name: 'Bob' },
      owner: { name: 'Ann' },
    });
    await expect(tasks.complete(await answerOf(tasks, taskId, ann))).rejects.toMatchObject({
      code: 'tasks.claimed_by_other',
    });
    expect(await waiting(ann)).toEqual([taskId]);
    const done = await tasks.complete(await answerOf(tasks, taskId, bob));
    expect(done).toMatchObject({ decidedBy: { name: 'Bob' }, owner: { name: 'Ann' } });
    expect(await history(taskId)).toEqual([
      ['opened', null, {}],
      ['claimed', 'Ann', {}],
      ['delegated', 'Ann', { to: 'Bob', toId: bob.id, text: 'You know them.' }],
      ['completed', 'Bob', { onBehalfOf: 'Ann' }],
    ]);
    expect(await on.notes('event')).toEqual([
      `claimed Ann ${taskId} {}`,
      `delegated Ann ${taskId} {"to":"Bob","toId":"key_bob","text":"You know them."}`,
    ]);
  });

  it('that were delegated go back to their owner, by either of them, and onward to a third', async () => {
    const { taskId } = await on.open();
    await tasks.claim(taskId, ann);
    await tasks.handing.delegate(taskId, ann, bob.id);
    expect(await tasks.handing.delegate(taskId, bob, lea.id)).toMatchObject({
      claimedBy: { name: 'Lea' },
      owner: { name: 'Ann' },
    });
    await expect(tasks.handing.handBack(taskId, bob)).rejects.toMatchObject({
      code: 'tasks.claimed_by_other',
    });
    const mine = { claimedBy: { name: 'Ann' }, owner: null, status: 'claimed' };
    expect(await tasks.handing.handBack(taskId, lea, 'Not mine.')).toMatchObject(mine);
    await tasks.handing.delegate(taskId, ann, bob.id);
    expect(await tasks.handing.handBack(taskId, ann)).toMatchObject(mine);
    await tasks.handing.delegate(taskId, ann, bob.id);
    expect(await tasks.release(taskId, bob)).toMatchObject(mine);
    await tasks.handing.delegate(taskId, ann, bob.id);
    expect(await tasks.release(taskId, olga)).toMatchObject({ status: 'open', claimedBy: null, owner: null });
    await expect(tasks.handing.handBack(taskId, ann)).rejects.toMatchObject({ code: 'tasks.not_claimed' });
  });

  it('are handed only to people who may answer them', async () => {
    const { taskId } = await on.open({ queue: 'fraud' });
    await tasks.claim(taskId, bob);
    for (const [to, code] of [
      [ann.id, 'tasks.not_candidate'],
      ['key_nobody', 'tasks.unknown_person'],
    ] as const) {
      await expect(tasks.handing.delegate(taskId, bob, to)).rejects.toMatchObject({ code });
      await expect(tasks.handing.assign(taskId, lea, to)).rejects.toMatchObject({ code });
    }
    expect((await tasks.handing.candidates(taskId)).map(({ name }) => name)).toEqual(['Bob']);
  });

  it('are assigned by a lead, and made more pressing, each once', async () => {
    const { taskId } = await on.open();
    await tasks.claim(taskId, ann);
    await Promise.all([1, 2, 3].map(() => tasks.handing.assign(taskId, lea, bob.id)));
    await Promise.all([1, 2].map(() => tasks.handing.prioritize(taskId, lea, 95)));
    expect(await tasks.get(taskId)).toMatchObject({ claimedBy: { name: 'Bob' }, owner: null, priority: 95 });
    expect((await history(taskId)).slice(2)).toEqual([
      ['assigned', 'Lea', { to: 'Bob', toId: bob.id }],
      ['prioritized', 'Lea', { from: 40, to: 95 }],
    ]);
    expect(await on.notes('event')).toHaveLength(3);
  });

  it('are claimed with one entry, however often the same person claims at once', async () => {
    const { taskId } = await on.open();
    await Promise.all([1, 2, 3, 4].map(() => tasks.claim(taskId, ann)));
    await Promise.all([1, 2, 3].map(() => tasks.release(taskId, ann)));
    expect(await history(taskId)).toEqual([
      ['opened', null, {}],
      ['claimed', 'Ann', {}],
      ['released', 'Ann', { from: 'Ann' }],
    ]);
    expect(await on.notes('event')).toHaveLength(2);
  });
});
