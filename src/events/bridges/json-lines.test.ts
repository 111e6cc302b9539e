import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { event } from '../event-under-test.ts';
import { jsonLinesSink, jsonLinesSource } from './json-lines.ts';
import { sinkConformance } from './sink-conformance.ts';
import { sourceConformance } from './source-conformance.ts';

const folders: string[] = [];
const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'aios-json-lines-'));
  folders.push(path);
  return path;
};
afterAll(() => Promise.all(folders.map((path) => rm(path, { recursive: true, force: true }))));

sourceConformance('json lines', async () => {
  const file = join(await folder(), 'events.jsonl');
  return {
    put: (events) => appendFile(file, events.map((one) => `${JSON.stringify(one)}\n`).join('')),
    open: () => jsonLinesSource(file, file, 5),
  };
});

sinkConformance('json lines', async () => {
  const path = await folder();
  return {
    open: (group) => jsonLinesSink(group, path),
    async received() {
      const files = (await readdir(path)).sort();
      const texts = await Promise.all(files.map((file) => readFile(join(path, file), 'utf8')));
      return texts.flatMap((text) =>
        text
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as { partition: number; offset: number; event: { id: string } })
          .map(({ partition, offset, event: { id } }) => ({ partition, offset, id })),
      );
    },
  };
});

describe('json lines', () => {
  it('are read when they are whole, however long they are', async () => {
    const file = join(await folder(), 'events.jsonl');
    const ended = new AbortController();
    const batches = jsonLinesSource('s', file, 5).read(undefined, ended.signal)[Symbol.asyncIterator]();
    const long = event('long', { data: 'x'.repeat(1_000_000) });
    await appendFile(file, JSON.stringify(long).slice(0, 500_000));
    setTimeout(() => void appendFile(file, `${JSON.stringify(long).slice(500_000)}\n`), 30);
    const { value } = await batches.next();
    expect(value?.events).toEqual([long]);
    ended.abort();
    await batches.return?.();
  });

  it('that a crash left half are cut off before the next', async () => {
    const path = await folder();
    const sink = jsonLinesSink('g', path);
    const logged = (offset: number, data = '') => ({
      ...{ partition: 0, offset, timeMs: 0, recordedAtMs: 0, event: event(`h${offset}`, { data }) },
    });
    await sink.deliver([logged(0), logged(1, 'y'.repeat(600_000))]);
    await appendFile(join(path, '0.jsonl'), '{"partition":0,"offs');
    await sink.deliver([logged(1), logged(2)]);
    const lines = (await readFile(join(path, '0.jsonl'), 'utf8')).trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { offset: number }).offset)).toEqual([0, 1, 2]);
  });
});
