import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import type { AiosError } from '../kernel/errors.ts';
import { parseQueue } from './queue-kind.ts';
import type { Task } from './task-desk.ts';
import type { OpenTask, Tasks } from './tasks.ts';
import {
  ann,
  bob,
  HOUR_MS,
  NOW_MS,
  olga,
  openTasksUnderTest,
  QUEUE,
  type TasksUnderTest,
} from './tasks-under-test.ts';

describe('a queue', () => {
  it.each([
    ['name: a\ntitle: A', '/', 'form is required'],
    ['name: a\ntitle: A\nform: { type: banana }', '/form', 'Not a JSON Schema'],
    ['name: a\ntitle: A\nform: {}\ndeadline: soon\nonDeadline: {}', '/deadline', 'not a duration'],
    ['name: a\ntitle: A\nform: {}\ndeadline: 2h', '/', 'onDeadline'],
    [`${QUEUE}x: 1`, '/x', 'not known here'],
    [
      QUEUE.replace('{ decision: refuse }', '{ decision: perhaps }'),
      '/onDeadline/decision',
      'does not accept',
    ],
    [QUEUE.replace('priority: 40', 'priority: 400'), '/priority', '<= 100'],
  ])('that is wrong is refused with its place: %s', (text, path, message) => {
    try {
      parseQueue(readDocument(text, 'queues/a.yaml'));
      expect.unreachable();
    } catch (error) {
      const issue = (error as AiosError).issues[0];
      expect(issue?.path || '/').toBe(path);
      expect(issue).toMatchObject({
        file: 'queues/a.yaml',
        line: expect.any(Number),
        message: expect.stringContaining(message),
      });
    }
  });
});

describe('tasks', () => {
  let on: TasksUnderTest;
  let tasks: Tasks;
  const open = (changes?: Partial<OpenTask>) => on.open(changes);
  const notes = (kind: string) => on.notes(kind);

  beforeAll(async () => {
    on = await openTasksUnderTest();
  });
  beforeEach(async () => {
    await on.reset();
    tasks = on.tasks;
  });
  afterAll(() => on.database.close());

  it('take deadline, priority and safe outcome from their queue', async () => {
    const opened = await open();
    expect(opened).toMatchObject({
      deadlineAtMs: NOW_MS + 2 * HOUR_MS,
      onDeadline: { decision: 'refuse' },
      version: 1,
    });
    expect(await tasks.get(opened.taskId)).toMatchObject({
      status: 'open',
      priority: 40,
      createdAt: NOW_MS,
      deadlineAt: NOW_MS + 2 * HOUR_MS,
      context: { customer: 'c-1', amount: 30 },
      suggestion: { decision: 'approve' },
      instructions: 'Look at the history.',
      form: { required: ['decision'] },
    });
  });

  it('are opened once when their step is redone after a crash', async () => {
    const [first, second] = [await open({ runId: 'run_x' }), await open({ runId: 'run_x' })];
    expect(first.taskId).toBe(second.taskId);
    expect((await tasks.list({ limit: 10 })).items).toHaveLength(1);
  });

  it('are answered together with the audit entry, the cost and the signal', async () => {
    const { taskId } = await open();
    const shown = await tasks.claim(taskId, ann);
    on.clock.advanceBy(3 * 60_000);
    const result = { decision: 'approve' };
    const done = await tasks.complete({ id: taskId, by: ann, result, contextDigest: shown.contextDigest });
    expect(done).toMatchObject({
      status: 'completed',
      result,
      decidedBy: { id: 'key_ann', name: 'Ann' },
      minutes: 3,
    });
    expect(await notes('audit')).toEqual([`key_ann ${shown.contextDigest} 1500000`]);
    expect((await notes('signal')).map((text) => JSON.parse(text))).toEqual([
      { taskId, result, decidedBy: 'key_ann', decidedAtMs: NOW_MS + 180_000, minutes: 3 },
    ]);
    expect(on.told).toEqual([taskId]);
  });

  it('count a claim that lay over night as no more than the limit, and given minutes as given', async () => {
    const { taskId } = await open({ deadline: '100h' });
    const { contextDigest } = await tasks.claim(taskId, ann);
    on.clock.advanceBy(14 * HOUR_MS);
    const result = { decision: 'refuse' };
    expect(await tasks.complete({ id: taskId, by: ann, result, contextDigest })).toMatchObject({
      minutes: 60,
    });
    const other = await open();
    const minutes = 1.5;
    const task = await tasks.get(other.taskId);
    expect(
      await tasks.complete({ id: task.id, by: ann, result, contextDigest: task.contextDigest, minutes }),
    ).toMatchObject({ minutes, claimedBy: { id: 'key_ann' } });
  });

  describe('refuse, and change nothing, when', () => {
    const result = { decision: 'approve' };
    const cases: [string, string, (task: Task) => Promise<unknown>][] = [
      [
        'the answer does not fit the form',
        'tasks.result_invalid',
        (t) =>
          tasks.complete({
            id: t.id,
            by: ann,
            result: { decision: 'maybe' },
            contextDigest: t.contextDigest,
          }),
      ],
      [
        'something else was shown',
        'tasks.context_changed',
        (t) => tasks.complete({ id: t.id, by: ann, result, contextDigest: 'sha256:0' }),
      ],
      [
        'somebody else claimed it',
        'tasks.claimed_by_other',
        (t) => tasks.complete({ id: t.id, by: bob, result, contextDigest: t.contextDigest }),
      ],
      ['somebody else claims it', 'tasks.claimed_by_other', (t) => tasks.claim(t.id, bob)],
      ['somebody else releases it', 'tasks.claimed_by_other', (t) => tasks.release(t.id, bob)],
      [
        'its deadline has passed',
        'tasks.not_open',
        (t) => {
          on.clock.advanceBy(2 * HOUR_MS);
          return tasks.complete({ id: t.id, by: ann, result, contextDigest: t.contextDigest });
        },
      ],
      ['there is no such task', 'tasks.unknown', () => tasks.claim('tsk_none', ann)],
      ['there is no such queue', 'tasks.unknown_queue', () => open({ queue: 'none' })],
      ['the context is too large', 'tasks.too_large', () => open({ context: { text: 'x'.repeat(300_000) } })],
      [
        'its letters take more bytes',
        'tasks.too_large',
        () => open({ context: { text: 'é'.repeat(200_000) } }),
      ],
      ['the cursor is none of ours', 'request.invalid', () => tasks.list({ limit: 1, cursor: 'x' })],
    ];
    it.each(cases)('%s', async (_, code, change) => {
      const { taskId } = await open();
      const before = await tasks.claim(taskId, ann);
      await expect((async () => change(before))()).rejects.toMatchObject({ code });
      expect(await tasks.get(taskId)).toEqual(before);
      expect([await notes('audit'), await notes('signal'), on.told]).toEqual([[], [], []]);
    });
  });

  it.each(['expired', 'canceled'] as const)('that are closed as %s take no answer', async (status) => {
    const { taskId } = await open();
    await on.database.commit.commit([tasks.close(taskId, status)]);
    const { contextDigest } = await tasks.get(taskId);
    const answer = { id: taskId, by: ann, result: { decision: 'approve' }, contextDigest };
    await expect(tasks.complete(answer)).rejects.toMatchObject({
      code: 'tasks.not_open',
      extensions: { taskStatus: status },
    });
    await expect(tasks.claim(taskId, ann)).rejects.toMatchObject({ code: 'tasks.not_open' });
    expect(await tasks.get(taskId)).toMatchObject({ status, endedAt: NOW_MS });
  });

  it('stay completed when they are closed afterwards', async () => {
    const { taskId } = await open();
    const { contextDigest } = await tasks.get(taskId);
    await tasks.complete({ id: taskId, by: ann, result: { decision: 'approve' }, contextDigest });
    await on.database.commit.commit([tasks.close(taskId, 'expired')]);
    expect(await tasks.get(taskId)).toMatchObject({ status: 'completed' });
  });

  it('end with the answer or at the deadline, whichever the row took first, and both sides are told the same', async () => {
    const seen = new Set<string>();
    for (let round = 0; round < 20; round++) {
      const { taskId } = await open();
      const { contextDigest } = await tasks.get(taskId);
      const result = { decision: 'approve' };
      // Stamped before the deadline; the deadline passes before it is committed.
      const complete = () => tasks.complete({ id: taskId, by: ann, result, contextDigest });
      const expire = () => tasks.expire(taskId, NOW_MS + 2 * HOUR_MS);
      const [first, second] = round % 2 === 0 ? [complete, expire] : [expire, complete];
      const outcomes = await Promise.allSettled([first(), second()]);
      const [answer, expiry] = round % 2 === 0 ? outcomes : [outcomes[1]!, outcomes[0]!];
      const { status } = await tasks.get(taskId);
      seen.add(status);
      const won = status === 'completed';
      expect(answer!.status).toBe(won ? 'fulfilled' : 'rejected');
      expect(expiry).toMatchObject({ value: won ? { result, decidedBy: ann.id } : undefined });
      expect(await tasks.expire(taskId, NOW_MS + 3 * HOUR_MS)).toEqual(
        won ? { result, decidedBy: ann.id } : undefined,
      );
    }
    expect(seen.has('completed') || seen.has('expired')).toBe(true);
    expect(await notes('signal')).toHaveLength(
      await on.database.db
        .query("select 1 from tasks where status = 'completed'")
        .then((rows) => rows.length),
    );
  });

  it('let one of many people who answer or claim at once win', async () => {
    const { taskId } = await open();
    const { contextDigest } = await tasks.get(taskId);
    const people = [ann, bob, olga];
    const claims = await Promise.allSettled(people.map((by) => tasks.claim(taskId, by)));
    expect(claims.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    const winner = people[claims.findIndex(({ status }) => status === 'fulfilled')]!;
    const answer = { id: taskId, by: winner, result: { decision: 'approve' }, contextDigest };
    const done = await Promise.allSettled([
      tasks.complete(answer),
      tasks.complete(answer),
      tasks.claim(taskId, winner),
    ]);
    expect(done.some(({ status }) => status === 'fulfilled')).toBe(true);
    expect(await tasks.get(taskId)).toMatchObject({ status: 'completed', decidedBy: { id: winner.id } });
  });

  it('can be given back by who claimed them, and by an operator', async () => {
    const { taskId } = await open();
    for (const by of [ann, olga]) {
      await tasks.claim(taskId, ann);
      expect(await tasks.release(taskId, by)).toMatchObject({ status: 'open', claimedBy: null });
    }
    expect(await tasks.release(taskId, bob)).toMatchObject({ status: 'open' });
  });

  it('keep the form that they were opened with when the queue changes, and may be for some roles only', async () => {
    const { taskId } = await open();
    await on.define(`${QUEUE.replace('[approve, refuse]', '[refuse]')}candidateRoles: [specialist]\n`);
    const task = await tasks.get(taskId);
    expect(task.form).toMatchObject({ properties: { decision: { enum: ['approve', 'refuse'] } } });
    await expect(tasks.claim(taskId, ann)).rejects.toMatchObject({ code: 'tasks.not_candidate' });
    const specialist = { ...bob, roles: ['specialist'] };
    const { contextDigest } = task;
    const answer = { id: taskId, by: specialist, result: { decision: 'approve' }, contextDigest };
    expect(await tasks.complete(answer)).toMatchObject({ status: 'completed', queueVersion: 1 });
    await on.define(QUEUE);
  });

  it('are listed by priority and age while they wait, newest first otherwise, page by page', async () => {
    const made: string[] = [];
    for (const [priority, minute] of [
      [10, 0],
      [90, 1],
      [40, 2],
      [90, 3],
      [40, 4],
    ] as const) {
      made.push((await open({ priority, nowMs: NOW_MS + minute * 60_000, runId: `run_p${minute}` })).taskId);
    }
    const [a, b, c, d, e] = made;
    const pages = async (statuses?: ('open' | 'claimed')[]) => {
      const ids: string[] = [];
      for (let cursor: string | undefined; ; ) {
        const page = await tasks.list({ statuses, cursor, limit: 2 });
        ids.push(...page.items.map(({ id }) => id));
        if (page.nextCursor === null) return ids;
        cursor = page.nextCursor;
      }
    };
    expect(await pages(['open', 'claimed'])).toEqual([b, d, c, e, a]);
    expect(await pages()).toEqual([e, d, c, b, a]);
    await tasks.claim(c!, ann);
    expect((await tasks.list({ by: ann.id, limit: 9 })).items.map(({ id }) => id)).toEqual([c]);
    expect(
      (await tasks.list({ runId: 'run_p3', queue: 'review', limit: 9 })).items.map(({ id }) => id),
    ).toEqual([d]);
    on.clock.advanceBy(2 * HOUR_MS + 60_000);
    expect(await tasks.counts()).toEqual([
      { queue: 'review', open: 4, claimed: 1, overdue: 2, oldestAt: NOW_MS },
    ]);
  });

  it('tell listeners of each change, until they stop', async () => {
    const seen: string[] = [];
    const stop = tasks.onChanged(({ status }) => void seen.push(status));
    const { taskId } = await open();
    await tasks.claim(taskId, ann);
    await tasks.release(taskId, ann);
    stop();
    await tasks.claim(taskId, ann);
    expect(seen).toEqual(['open', 'claimed', 'open']);
  });
});
