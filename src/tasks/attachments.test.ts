import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Tasks } from './tasks.ts';
import { ann, bob, NOW_MS, openTasksUnderTest, type TasksUnderTest } from './tasks-under-test.ts';

describe('files beside tasks', () => {
  let on: TasksUnderTest;
  let tasks: Tasks;
  const receipt = { name: 'receipt.pdf', mediaType: 'application/pdf', bytes: Buffer.from('%PDF-1.7 r-1') };

  beforeAll(async () => {
    on = await openTasksUnderTest();
  });
  beforeEach(async () => {
    for (const table of ['task_attachments', 'task_files'])
      await on.database.db.queryDynamic(`delete from ${table}`);
    await on.reset();
    tasks = on.tasks;
  });
  afterAll(() => on.database.close());

  it('are kept with their digest, told by history and audit, and read again as they came', async () => {
    const { taskId } = await on.open();
    const digest = `sha256:${createHash('sha256').update(receipt.bytes).digest('hex')}`;
    const added = await tasks.attachments.add({ id: taskId, by: ann, ...receipt });
    expect(added).toMatchObject({
      name: 'receipt.pdf',
      digest,
      sizeBytes: 12,
      at: NOW_MS,
      by: { name: 'Ann' },
    });
    expect(await tasks.attachments.list(taskId)).toEqual([added]);
    expect((await tasks.attachments.read(taskId, added.id)).bytes.equals(receipt.bytes)).toBe(true);
    expect((await tasks.notes.history(taskId)).at(-1)).toMatchObject({
      kind: 'attached',
      by: { name: 'Ann' },
      detail: { name: 'receipt.pdf', digest },
    });
    expect(await on.notes('event')).toEqual([expect.stringContaining(digest)]);
  });

  it('are once however often they are sent, and their bytes once for all tasks', async () => {
    const [one, two] = [await on.open(), await on.open()];
    const first = await tasks.attachments.add({ id: one.taskId, by: ann, ...receipt });
    expect(await tasks.attachments.add({ id: one.taskId, by: bob, ...receipt })).toEqual(first);
    await Promise.all([
      tasks.attachments.add({ id: two.taskId, by: ann, ...receipt }),
      tasks.attachments.add({ id: two.taskId, by: ann, ...receipt, name: 'copy.pdf' }),
    ]);
    expect(await tasks.attachments.list(one.taskId)).toHaveLength(1);
    expect(await tasks.attachments.list(two.taskId)).toHaveLength(2);
    expect(await on.database.db.query('select 1 from task_files')).toHaveLength(1);
    expect(await on.notes('event')).toHaveLength(3);
    await expect(tasks.attachments.read(two.taskId, first.id)).rejects.toMatchObject({
      code: 'tasks.unknown_attachment',
    });
  });

  it.each([
    ['too large a file', { bytes: Buffer.alloc(10 * 1024 * 1024 + 1) }, 'tasks.too_large'],
    ['what a browser would run', { mediaType: 'text/html' }, 'tasks.media_type'],
    ['a picture with scripts', { mediaType: 'Image/SVG+XML; charset=utf-8' }, 'tasks.media_type'],
    ['a path', { name: '../../etc/passwd' }, 'request.invalid'],
    ['a name that hides its end', { name: 'receipt\u202efdp.exe' }, 'request.invalid'],
    ['no name', { name: '  ' }, 'request.invalid'],
  ])('refuse %s', async (_, changes, code) => {
    const { taskId } = await on.open();
    await expect(
      tasks.attachments.add({ id: taskId, by: ann, ...receipt, ...changes }),
    ).rejects.toMatchObject({ code });
    expect(await tasks.attachments.list(taskId)).toEqual([]);
    expect(await on.notes('event')).toEqual([]);
  });

  it('are bounded in number', async () => {
    const { taskId } = await on.open();
    for (let i = 0; i < 20; i++)
      await tasks.attachments.add({ id: taskId, by: ann, ...receipt, name: `${i}.pdf` });
    await expect(tasks.attachments.add({ id: taskId, by: ann, ...receipt })).rejects.toMatchObject({
      code: 'tasks.attachments_full',
      extensions: { limitName: 'taskAttachmentsCountMax', limit: 20 },
    });
  });
});
