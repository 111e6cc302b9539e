import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { filesOf, type OpenedApp, openApp } from './app-under-test.ts';
import { runCommand } from './command-line.ts';

const queueOf = (outcomes: string, deadline: string) => `name: check
title: To check
form: { type: object, required: [outcome], properties: { outcome: { enum: [${outcomes}] } } }
deadline: ${deadline}
onDeadline: { outcome: no }
`;

const FLOW = `document: { dsl: '1.0.0', namespace: test, name: ask, version: '1.0.0' }
do:
  - ask:
      call: human-task:1@default
      with: { queue: check, title: Well?, context: { amount: 3 } }
`;

let opened: OpenedApp;
beforeAll(async () => {
  const project = { 'queues/check.yaml': queueOf('yes, no', '2h'), 'workflows/ask.yaml': FLOW };
  opened = await openApp({ project });
}, 60_000);
afterAll(() => opened.close());

it('an answer names the version of the queue that it was held to, not the one of today, and a copy of the log has it', async () => {
  const { app, dataDir } = opened;
  const aios = async (...args: string[]) => {
    const { code, said } = await runCommand(['--url', app.url, '--key', app.adminKey, '--json', ...args]);
    expect([args, code, said]).toEqual([args, 0, expect.stringMatching(/^\{/)]);
    return JSON.parse(said);
  };
  const { id: runId } = await aios('run', 'ask', '--wait', '0s');
  const task = await vi.waitFor(async () => {
    const { items } = await aios('inbox');
    expect(items).toHaveLength(1);
    return items[0];
  }, 15_000);
  await app.apply(filesOf({ 'queues/check.yaml': queueOf('maybe, no', '9d') }));
  expect(await aios('inbox', task.id, '--complete', '{"outcome":"yes"}')).toMatchObject({
    status: 'completed',
  });
  const index = await vi.waitFor(async () => {
    const { items } = await aios('audit', '--of', `run:${runId}`);
    expect(items).toMatchObject([{ kind: 'task', action: 'completed' }]);
    return items[0].index;
  }, 15_000);

  const { entry } = await aios('audit', String(index));
  expect(Date.parse(entry.payload.deadlineAt) - Date.parse(task.createdAt)).toBe(2 * 3600 * 1000);
  const copy = join(dataDir, 'copy');
  await aios('audit', '--export', copy, '--payloads');
  const queue = JSON.parse(await readFile(join(copy, 'definitions', 'queue', 'check@1.json'), 'utf8'));
  expect(queue.body.form.properties.outcome.enum).toEqual(['yes', 'no']);
  expect(entry.payload).toMatchObject({
    ...{ task: task.id, queue: 'check', queueVersion: 1, queueDigest: queue.digest },
    ...{ result: { outcome: 'yes' }, shown: { amount: 3 } },
  });
});
