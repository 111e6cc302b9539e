import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { CloudEvent } from '../../../../kernel/cloudevent.ts';
import type { AiosError } from '../../../../kernel/errors.ts';
import { drop, folder, lines, openFiles as open } from './files-under-test.ts';

const mapping = { events: { type: "'row'" } };

describe('a file that is changed while it is read', () => {
  const row = (n: number, more = {}) => ({ n, ...more });
  const n = ({ events }: { events: readonly CloudEvent[] }) =>
    events.map(({ data }) => (data as { n: number }).n);
  /** What a source brings of a file to which something happens after its first batch, or before its end. */
  const changed = async (rows: number, change: (path: string) => Promise<void>, count: number) => {
    const path = await folder();
    const reports: AiosError[] = [];
    await drop(path, 'a.jsonl', lines(Array.from({ length: rows }, (_, at) => row(at))));
    let isDone = false;
    const source = open(path, {}, { ...mapping, reports });
    const found = { events: [] as CloudEvent[] };
    const ending = new AbortController();
    onTestFinished(() => ending.abort());
    for await (const batch of source.read(undefined, ending.signal)) {
      found.events.push(...batch.events);
      if (!isDone) await change(path);
      isDone = true;
      await batch.acknowledge?.();
      if (found.events.length >= count) break;
    }
    return { read: n(found), codes: reports.map(({ code }) => code), path };
  };
  const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at);

  it('leaves another that was put in its place, and reads that then', async () => {
    const replace = (path: string) => drop(path, 'a.jsonl', lines([row(-1)]));
    // Before its last batch, and behind it.
    for (const rows of [600, 2]) {
      const { read, codes, path } = await changed(rows, replace, rows + 1);
      expect(read).toEqual([...numbers(0, rows), -1]);
      expect([codes, await readdir(join(path, 'done'))]).toEqual([[], ['a.jsonl']]);
      expect(await readFile(join(path, 'done', 'a.jsonl'), 'utf8')).toBe(lines([row(-1)]));
    }
  });

  it('reads to its new end what was written behind it meanwhile', async () => {
    // More than is read of it at once.
    const grow = (path: string) => writeFile(join(path, 'a.jsonl'), lines([row(600)]), { flag: 'a' });
    const { read, codes, path } = await changed(600, grow, 601);
    expect(read).toEqual(numbers(0, 601));
    expect([codes, await readdir(join(path, 'done'))]).toEqual([[], ['a.jsonl']]);
  });

  it.each([
    [
      'behind it once all was read',
      (path: string) => writeFile(path, lines([row(2)]), { flag: 'a' }),
      [0, 1, 2],
    ],
    ['over it', (path: string) => writeFile(path, lines([row(7), row(8)])), [7, 8]],
  ])('reads it again where something was written %s, and tells of it', async (_where, write, all) => {
    const { read, codes, path } = await changed(2, (of) => write(join(of, 'a.jsonl')), 2 + all.length);
    expect(read).toEqual([0, 1, ...all]);
    expect([codes, await readdir(join(path, 'done'))]).toEqual([['bridges.file_changed'], ['a.jsonl']]);
  });

  it('does not set a file aside that became whole meanwhile', async () => {
    const path = await folder();
    const reports: AiosError[] = [];
    await drop(path, 'a.csv', 'x,');
    const ending = new AbortController();
    onTestFinished(() => ending.abort());
    const source = open(path, {}, { ...mapping, reports });
    let count = 0;
    for await (const { events, acknowledge } of source.read(undefined, ending.signal)) {
      if (count === 0 && events.length === 0) await writeFile(join(path, 'a.csv'), 'y\n1,2\n', { flag: 'a' });
      count += events.length;
      await acknowledge?.();
      if (count > 0) break;
    }
    expect([reports, (await readdir(path)).sort()]).toEqual([[], ['done']]);
  });
});
