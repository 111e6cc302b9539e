import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { compileSchema } from '../../kernel/schema.ts';
import { type Lane, write } from '../../store/lane.ts';
import { type HumanTaskPort, humanTaskPrimitive } from './human-task.ts';
import type { StepContext } from './primitive.ts';

const lane: Lane<object> = { name: 'any', order: 1, write: async () => undefined };
const routing = { route: 'auto', band: 0, confidence: 0.9, reason: 'sure', sampled: false };
const context = { runId: 'run_1', stepKey: 'ask', nowMs: 5, workflow: 'w' } as StepContext;
const input = { queue: 'q', title: 't', context: { a: 1 } };

function primitive(answered?: Awaited<ReturnType<HumanTaskPort['expire']>>, settled?: Json) {
  const entries: object[] = [];
  const audit = (entry: object) => {
    entries.push(entry);
    return write(lane, entry);
  };
  const opened: JsonObject[] = [];
  const port: HumanTaskPort = {
    open(task) {
      opened.push(task as unknown as JsonObject);
      return {
        taskId: 'tsk_1',
        writes: [write(lane, {})],
        deadlineAtMs: 99,
        onDeadline: { outcome: 'refuse' },
        version: 3,
        digest: 'd',
        reviewed: false,
        routing: settled === undefined ? undefined : routing,
        settled,
      };
    },
    close: (taskId, status) => write(lane, { taskId, status }),
    expire: async () => answered,
  };
  return { opened, entries, task: humanTaskPrimitive(port, audit) };
}

describe('human-task', () => {
  it('asks with the dates, the groups and the task before it as the flow says them, and leaves out what it does not say', async () => {
    const { opened, task } = primitive();
    const said = {
      ...input,
      due: 'PT4H',
      deadline: '2026-01-01T00:00:00Z',
      followUp: 'P1D',
      groups: ['fraud'],
      continues: 'tsk_0',
      priority: 7,
    };
    expect(compileSchema(task.inputSchema)({ ...said, subject: null })).toEqual([]);
    expect(await task.open({ ...said, subject: null, onDeadline: 'no' }, context)).toMatchObject({
      deadlineMs: 99,
      state: { taskId: 'tsk_1', onDeadline: 'no' },
      pins: [{ kind: 'queue', name: 'q', version: '3', digest: 'd' }],
    });
    expect(opened[0]).toMatchObject({ ...said, runId: 'run_1', stepKey: 'ask', nowMs: 5 });
    expect(await task.open({ ...input, continues: null }, context)).toMatchObject({
      state: { onDeadline: { outcome: 'refuse' } },
    });
    expect(opened[1]).toMatchObject({ ...input, runId: 'run_1', stepKey: 'ask', nowMs: 5 });
    expect(opened[1]).not.toHaveProperty('continues');
  });

  const state = { taskId: 'tsk_1', onDeadline: { outcome: 'refuse' } };
  const answer = { result: { outcome: 'pay' }, decidedBy: 'key_a' };
  const none = { expired: false, returned: false, taskId: 'tsk_1' };
  it.each<[string, Json, JsonObject]>([
    ['an answer', answer, { ...answer, ...none }],
    [
      'a question back',
      { returned: true, message: 'Which one?', decidedBy: 'key_a' },
      { ...none, result: null, decidedBy: 'key_a', returned: true, message: 'Which one?' },
    ],
    ['a signal that says nothing', null, { ...none, result: null, decidedBy: null }],
  ])('goes on with %s', async (_, payload, output) => {
    const { task } = primitive();
    expect((await task.complete({ kind: 'signal', payload }, state, input, context)).output).toEqual(output);
  });

  it.each<[string, Parameters<typeof primitive>[0], JsonObject]>([
    [
      'the safe outcome',
      undefined,
      { ...none, result: { outcome: 'refuse' }, decidedBy: null, expired: true },
    ],
    ['an answer that was committed first', answer, { ...answer, ...none }],
    [
      'a question that was sent back first',
      { result: null, decidedBy: 'key_a', returned: 'Which one?' },
      { ...none, result: null, decidedBy: 'key_a', returned: true, message: 'Which one?' },
    ],
  ])('at the deadline goes on with %s', async (_, answered, output) => {
    const { task } = primitive(answered);
    expect((await task.complete({ kind: 'deadline' }, state, input, context)).output).toEqual(output);
  });

  it('tells the audit log which version of the queue it settled or expired under', async () => {
    const under = { queue: 'q', queueVersion: 3, queueDigest: 'd' };
    const waited = primitive();
    const { state } = (await waited.task.open(input, context)) as { state: JsonObject };
    await waited.task.complete({ kind: 'deadline' }, state, input, context);
    const sure = primitive(undefined, { outcome: 'pay' });
    await sure.task.open(input, context);
    expect([...waited.entries, ...sure.entries]).toMatchObject([
      { action: 'expired', payload: { task: 'tsk_1', ...under, result: { outcome: 'refuse' } } },
      { action: 'settled', payload: { ...routing, ...under, result: { outcome: 'pay' } } },
    ]);
  });
});
