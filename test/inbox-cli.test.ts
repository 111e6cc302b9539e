import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { returnRequested } from '../src/api/api-under-test.ts';
import { openedApi } from '../src/api/opened-api-under-test.ts';
import { runCommand } from './command-line.ts';

describe('the command line works tasks', () => {
  const { api } = openedApi();
  let url: string;
  let folder: string;
  let taskId: string;

  /** What a command prints as JSON, and its exit code. */
  async function aios(role: 'reviewer' | 'operator' | 'admin', ...args: string[]) {
    const { code, said } = await runCommand(['--url', url, '--key', api.keys[role], '--json', ...args]);
    return { code, text: said, json: said.startsWith('{') ? JSON.parse(said) : undefined };
  }

  beforeAll(async () => {
    url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    folder = await mkdtemp(join(tmpdir(), 'inbox-cli-'));
    await api.request({
      method: 'POST',
      url: '/api/v1/events',
      role: 'operator',
      body: returnRequested('c-1'),
    });
    taskId = await vi.waitFor(async () => {
      const { json } = await aios('reviewer', 'inbox');
      expect(json.items).toHaveLength(1);
      return json.items[0].id;
    });
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  it('shows what is asked and how to answer it; after the answer, that', async () => {
    const text = async (...args: string[]) =>
      (await runCommand(['--url', url, '--key', api.keys.reviewer, 'inbox', taskId, ...args])).said;
    const shown = await text();
    expect(shown).toMatch(/^ANSWER +TAKES/m);
    expect(shown).toContain(`To answer: aios inbox ${taskId} --claim --complete '{"decision":"approve"}'`);
    expect(shown).not.toContain('The answer:');
  });

  it('hands on, comments, attaches and saves, puts off, and answers', async () => {
    const file = join(folder, 'receipt.txt');
    await writeFile(file, 'paid');
    const one = await aios(
      'reviewer',
      'inbox',
      taskId,
      '--claim',
      '--comment',
      'Look here.',
      '--attach',
      file,
    );
    expect(one.json).toMatchObject({ status: 'claimed', claimedBy: 'the reviewer' });
    expect((await aios('reviewer', 'inbox', taskId, '--delegate', 'The Admin')).json).toMatchObject({
      claimedBy: 'the admin',
      owner: 'the reviewer',
    });
    expect(await aios('reviewer', 'inbox', taskId, '--delegate', 'Nobody')).toMatchObject({
      code: 1,
      text: expect.stringContaining('tasks.unknown_person'),
    });
    await aios('admin', 'inbox', taskId, '--hand-back');
    expect((await aios('operator', 'inbox', taskId, '--priority', '80')).json).toMatchObject({
      priority: 80,
    });
    await aios('reviewer', 'inbox', taskId, '--follow-up', '2d');
    expect((await aios('reviewer', 'inbox')).json.items).toEqual([]);
    expect((await aios('reviewer', 'inbox', '--all')).json.items).toHaveLength(1);
    await aios('reviewer', 'inbox', taskId, '--follow-up', 'none');
    const target = join(folder, 'copy.txt');
    await aios('reviewer', 'inbox', taskId, '--save', 'receipt.txt', '--to', target);
    expect(await readFile(target, 'utf8')).toBe('paid');
    expect((await aios('reviewer', 'inbox', taskId, '--save', 'none.txt')).text).toContain(
      'tasks.unknown_attachment',
    );
    const done = await aios('reviewer', 'inbox', taskId, '--complete', '{"decision":"approve"}', '--history');
    expect(done.json).toMatchObject({ status: 'completed', result: { decision: 'approve' } });
    const after = (await runCommand(['--url', url, '--key', api.keys.reviewer, 'inbox', taskId])).said;
    expect(after).toContain('The answer: {"decision":"approve"}');
    expect(after).not.toContain('To answer');
    expect(done.json.history.map(({ kind }: { kind: string }) => kind)).toEqual([
      'opened',
      'seen',
      'claimed',
      'attached',
      'commented',
      'delegated',
      'seen',
      'handed-back',
      'seen',
      'prioritized',
      'put-off',
      'put-off',
      'completed',
    ]);
  });

  it('keys are made, put into groups, and revoked', async () => {
    const made = await aios('admin', 'keys', '--create', 'Rita', '--groups', 'returns, fraud');
    const { id, key } = made.json;
    expect(key).toMatch(/^aios_key_/);
    const rita = async (...args: string[]) =>
      (await aios('admin', 'keys', ...args)).json.items.find((item: { id: string }) => item.id === id);
    expect(await rita()).toMatchObject({ roles: ['reviewer'], groups: ['returns', 'fraud'] });
    expect(await rita(id, '--groups', 'claims')).toMatchObject({ groups: ['claims'] });
    expect(await rita(id, '--revoke')).toBeUndefined();
    expect(await rita('--ended')).toMatchObject({ revokedAt: expect.any(String) });
    expect(await aios('reviewer', 'keys')).toMatchObject({ code: 1 });
  });
});
