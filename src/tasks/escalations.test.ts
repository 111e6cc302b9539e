import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import type { AiosError } from '../kernel/errors.ts';
import { parseQueue } from './queue-kind.ts';
import type { Tasks } from './tasks.ts';
import {
  ann,
  answerOf,
  bob,
  HOUR_MS,
  lea,
  NOW_MS,
  openTasksUnderTest,
  QUEUE,
  type TasksUnderTest,
} from './tasks-under-test.ts';

const LADDER = `${QUEUE.replace('name: review', 'name: ladder').replace('deadline: 2h', 'deadline: 90h')}
candidateGroups: [returns]
escalations:
  - { after: PT1H, priority: 60 }
  - { after: PT4H, priority: 30, toGroups: [fraud], notify: task.late }
  - { after: PT8H, toRoles: [lead], notify: refused }
`;
const WORKING = `${QUEUE.replace('name: review', 'name: working').replace('deadline: 2h', 'deadline: 90h')}
calendar: office
escalations: [{ after: PT1H, priority: 60 }]
`;
const CALENDAR =
  'name: office\ntimeZone: UTC\nhours: { wednesday: ["09:00-17:00"], thursday: ["09:00-17:00"] }';
const fraud = { id: 'key_fred', name: 'Fred', roles: ['reviewer'], groups: ['fraud'] };

describe('the ladder of a queue', () => {
  let on: TasksUnderTest;
  let tasks: Tasks;
  const escalated = async (id: string) =>
    (await tasks.notes.history(id))
      .filter(({ kind }) => kind === 'escalated')
      .map(({ at, detail }) => [at, detail]);

  beforeAll(async () => {
    on = await openTasksUnderTest([ann, bob, lea, fraud]);
    for (const text of [CALENDAR, LADDER, WORKING]) await on.define(text);
  });
  beforeEach(async () => {
    await on.reset();
    tasks = on.tasks;
  });
  afterAll(() => on.database.close());

  it('is climbed rung by rung while nobody has answered', async () => {
    const { taskId } = await on.open({ queue: 'ladder', followUp: 'PT50H' });
    await tasks.escalations.climb();
    expect(await tasks.get(taskId)).toMatchObject({ priority: 40, escalationLevel: 0 });
    on.clock.advanceBy(HOUR_MS);
    await tasks.escalations.climb();
    expect(await tasks.get(taskId)).toMatchObject({ priority: 60, escalationLevel: 1, followUpAt: null });
    await expect(tasks.claim(taskId, fraud)).rejects.toMatchObject({ code: 'tasks.not_candidate' });
    await expect(tasks.claim(taskId, lea)).rejects.toMatchObject({ code: 'tasks.not_candidate' });
    on.clock.advanceBy(3 * HOUR_MS);
    await tasks.escalations.climb();
    expect(await tasks.get(taskId)).toMatchObject({ priority: 60, addedGroups: ['fraud'], addedRoles: [] });
    expect(await tasks.list({ limit: 5, ...tasks.waitingFor(fraud) })).toMatchObject({
      items: [{ id: taskId }],
    });
    await tasks.claim(taskId, fraud);
    on.clock.advanceBy(4 * HOUR_MS);
    await tasks.escalations.climb();
    await tasks.escalations.climb();
    expect(await tasks.get(taskId)).toMatchObject({
      escalationLevel: 3,
      addedRoles: ['lead'],
      status: 'claimed',
    });
    expect(await escalated(taskId)).toEqual([
      [NOW_MS + HOUR_MS, { level: 1, priority: 60 }],
      [NOW_MS + 4 * HOUR_MS, { level: 2, priority: 30, groups: ['fraud'], notified: 'task.late' }],
      [
        NOW_MS + 8 * HOUR_MS,
        { level: 3, roles: ['lead'], notNotified: 'refused', code: 'contracts.data_invalid' },
      ],
    ]);
    expect((await on.notes('mail')).map((text) => JSON.parse(text))).toEqual([
      expect.objectContaining({ type: 'task.late', taskId, queue: 'ladder', level: 2, claimedBy: null }),
    ]);
    const audited = await on.notes('event');
    expect(audited.filter((text) => text.startsWith(`escalated AIOS ${taskId}`))).toHaveLength(3);
  });

  it('is climbed once over several processes, also by one that was away', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 30; i++) ids.push((await on.open({ queue: 'ladder' })).taskId);
    on.clock.advanceBy(5 * HOUR_MS);
    const processes = [tasks, on.another(), on.another()];
    await Promise.all(processes.map(({ escalations }) => escalations.climb()));
    for (const id of ids) {
      expect((await escalated(id)).map(([, detail]) => (detail as { level: number }).level)).toEqual([1, 2]);
      expect(await tasks.get(id)).toMatchObject({ escalationLevel: 2 });
    }
    expect(await on.notes('mail')).toHaveLength(30);
  });

  it('is left by an answer, and counts the working time of a calendar', async () => {
    const { taskId } = await on.open({ queue: 'ladder' });
    await tasks.complete(await answerOf(tasks, taskId, ann));
    const working = await on.open({ queue: 'working' });
    on.clock.advanceTo(NOW_MS + 9.5 * HOUR_MS);
    await tasks.escalations.climb();
    expect(await tasks.get(working.taskId)).toMatchObject({ escalationLevel: 0 });
    on.clock.advanceTo(NOW_MS + 10 * HOUR_MS);
    await tasks.escalations.climb();
    expect(await tasks.get(working.taskId)).toMatchObject({ escalationLevel: 1 });
    expect(await escalated(taskId)).toEqual([]);
  });

  it('ends where its calendar has too few hours for the next rung, and holds up no other task', async () => {
    await on.define('name: rare\ntimeZone: UTC\nhours: { wednesday: ["09:00-09:02"] }');
    await on.define(`${QUEUE.replace('name: review', 'name: rare').replace('deadline: 2h', 'deadline: PT1M')}
calendar: rare
escalations: [{ after: PT1M, priority: 60 }, { after: PT200H, priority: 70 }]
`);
    const rare = await on.open({ queue: 'rare' });
    const { taskId } = await on.open({ queue: 'ladder' });
    on.clock.advanceTo(NOW_MS + 10 * HOUR_MS);
    await tasks.escalations.climb();
    await tasks.escalations.climb();
    expect(await escalated(rare.taskId)).toEqual([[NOW_MS + 10 * HOUR_MS, { level: 1, priority: 60 }]]);
    expect(await tasks.get(taskId)).toMatchObject({ escalationLevel: 3 });
  });

  it('is watched by a process as long as it runs', async () => {
    const { taskId } = await on.open({ queue: 'ladder' });
    tasks.escalations.start(() => {});
    on.clock.advanceBy(HOUR_MS);
    await expect.poll(async () => (await tasks.get(taskId)).escalationLevel, { timeout: 10_000 }).toBe(1);
    await tasks.escalations.stop();
  });

  it.each([
    [
      'escalations: [{ after: PT2H, priority: 1 }, { after: PT1H, priority: 2 }]',
      '/escalations/1/after',
      'later',
    ],
    ['escalations: [{ after: PT2H }]', '/escalations/0', 'fewer than 2'],
    ['escalations: [{ after: soon, priority: 1 }]', '/escalations/0/after', 'not a duration'],
    ['calendar: office\ndue: P0.5D', '/due', 'in hours'],
  ])('that is wrong is refused with its place: %s', (text, path, message) => {
    try {
      parseQueue(readDocument(`${QUEUE}${text}`, 'queues/a.yaml'));
      expect.unreachable();
    } catch (error) {
      const issue = (error as AiosError).issues[0];
      expect(issue).toMatchObject({ path, file: 'queues/a.yaml', line: expect.any(Number) });
      expect(issue?.message).toContain(message);
    }
  });
});
