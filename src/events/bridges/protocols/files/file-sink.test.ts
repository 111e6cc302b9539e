import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { event } from '../../../event-under-test.ts';
import type { EventSink } from '../../port/event-source.ts';
import { sinkConformance } from '../../port/sink-conformance.ts';
import { contextOf, openSource } from '../protocol-under-test.ts';
import { fileSink } from './file-sink.ts';
import { filesProtocol } from './files-protocol.ts';
import { parquetRows } from './parquet.ts';
import { PartFile } from './part-file.ts';
import { FILE_START } from './row.ts';

const folders: string[] = [];
const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'aios-files-'));
  folders.push(path);
  return path;
};
afterAll(() => Promise.all(folders.map((path) => rm(path, { recursive: true, force: true }))));

const HOUR_MS = 3_600_000;
const FIRST_MS = Date.UTC(2026, 0, 1, 5);
const logged = (offset: number, recordedAtMs = FIRST_MS, more: Partial<CloudEvent> = {}): LoggedEvent => ({
  ...{ partition: 3, offset, timeMs: 0, recordedAtMs, event: event(`e${offset}`, more) },
});
const open = (path: string, settings: object = {}, more: object = {}) =>
  fileSink(contextOf(filesProtocol, { folders: [path], ...more }), { folder: path, ...settings }, 20);
/** The whole files, in the order of their names. */
const files = async (path: string) => {
  const names = await readdir(path, { recursive: true });
  return names.filter((name) => !name.startsWith('.') && /\.(jsonl|parquet)$/.test(name)).sort();
};
const isWaiting = async (path: string) => {
  for (const name of await readdir(path, { recursive: true }))
    if (/^\..*\.jsonl$/.test(name) && (await readFile(join(path, name), 'utf8')).includes('"offset"'))
      return true;
  return false;
};

sinkConformance('files', async () => {
  const path = await folder();
  const places = new Map<string, { partition: number; offset: number }>();
  return {
    open(group, more) {
      const sink = open(path, { everySeconds: 1 }, { name: group, ...more });
      const deliver: EventSink['deliver'] = (events) => {
        for (const {
          partition,
          offset,
          event: { id },
        } of events)
          places.set(id, { partition, offset });
        return sink.deliver(events);
      };
      return { ...sink, deliver };
    },
    async received() {
      await expect.poll(() => isWaiting(path), { timeout: 15_000 }).toBe(false);
      const texts = await Promise.all((await files(path)).map((name) => readFile(join(path, name), 'utf8')));
      return texts
        .flatMap((text) => text.split('\n').filter(Boolean))
        .map((line) => JSON.parse(line) as CloudEvent)
        .map(({ id }) => ({ ...places.get(id)!, id }));
    },
  };
});

describe('a sink of files', () => {
  const eventsOf = async (path: string, name: string) => {
    const text = await readFile(join(path, name), 'utf8');
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as CloudEvent);
  };

  it('writes a file for each partition and hour, when the hour is over', async () => {
    const path = await folder();
    const clock = new ManualClock(FIRST_MS + HOUR_MS - 1);
    const sink = open(path, {}, { clock });
    await sink.deliver([logged(1), { ...logged(7), partition: 4 }, logged(2)]);
    await sink.deliver([logged(5, FIRST_MS + HOUR_MS - 1), logged(6, FIRST_MS + HOUR_MS)]);
    clock.advanceBy(1);
    const [first, second, third] = [
      '2026-01-01T0500/3-000000000000001-000000000000005.jsonl',
      '2026-01-01T0500/4-000000000000007-000000000000007.jsonl',
      '2026-01-01T0600/3-000000000000006-000000000000006.jsonl',
    ] as const;
    await expect.poll(() => files(path), { timeout: 15_000 }).toEqual([first, second]);
    expect(await eventsOf(path, first)).toEqual([1, 2, 5].map((offset) => event(`e${offset}`)));
    clock.advanceBy(HOUR_MS);
    await expect.poll(() => files(path), { timeout: 15_000 }).toEqual([first, second, third]);
    // What came before is known, though its file is taken away.
    await rm(join(path, third));
    await sink.deliver([logged(5), logged(6, FIRST_MS + HOUR_MS), logged(7, FIRST_MS + HOUR_MS)]);
    await expect
      .poll(() => files(path), { timeout: 15_000 })
      .toEqual([first, second, third.replaceAll('06.', '07.').replaceAll('006-', '007-')]);
    await sink.close?.();
  });

  it('cuts off the half of a line that a crash left, and keeps a dead letter that comes once more', async () => {
    const path = await folder();
    const clock = new ManualClock(FIRST_MS);
    const sink = open(path, {}, { clock, name: 'out' });
    await sink.deliver([logged(0), logged(2, FIRST_MS, { data: 'y'.repeat(200_000) })]);
    await appendFile(join(path, '.out', 'of-the-test-3.jsonl'), '{"last":3,"offs');
    await sink.deliver([logged(2), logged(3)]);
    await sink.deliver([logged(1)], 'again');
    await sink.deliver([logged(3), logged(4)]);
    clock.advanceBy(HOUR_MS);
    await expect.poll(() => files(path), { timeout: 15_000 }).toHaveLength(1);
    const events = await eventsOf(path, (await files(path))[0]!);
    expect(events.map(({ id }) => id)).toEqual(['e0', 'e2', 'e3', 'e1', 'e4']);
    await sink.close?.();
  });

  it.each([
    ['before the file has its name', '2026-01-01T0500', 'jsonl'],
    ['before the file has its name', '2026-01-01T0500', 'parquet'],
    ['before the part is emptied', '.out/a-3.jsonl.empty', 'jsonl'],
    ['before the part is emptied', '.out/a-3.jsonl.empty', 'parquet'],
  ])('has each event in one file after a crash %s (%s, %s)', async (_, inTheWay, format) => {
    const path = await folder();
    const open = () =>
      new PartFile(join(path, '.out'), {
        ...{ folder: path, space: 'a', partition: 3 },
        format: format === 'jsonl' ? 'json-lines' : 'parquet',
      });
    const period = FIRST_MS;
    const waiting = (offset: number) => ({ offset, period, value: { id: `e${offset}` } });
    await mkdir(join(path, '.out'));
    await open().append([waiting(0), waiting(1)]);
    // What is in the way of the next step ends the work there, as a crash does.
    await (inTheWay.endsWith('empty') ? mkdir(join(path, inTheWay)) : writeFile(join(path, inTheWay), ''));
    await expect(open().finishBefore(period + 1)).rejects.toThrow();
    await rm(join(path, inTheWay), { recursive: true });
    await open().append([waiting(1), waiting(2)]);
    expect(await open().finishBefore(period + 1)).toBe(true);
    expect(await open().finishBefore(period + 1)).toBe(false);
    const names = await files(path);
    expect(names).toEqual([
      `2026-01-01T0500/3-000000000000000-000000000000001.${format}`,
      `2026-01-01T0500/3-000000000000002-000000000000002.${format}`,
    ]);
    if (format === 'jsonl')
      expect((await Promise.all(names.map((name) => eventsOf(path, name)))).flat()).toEqual(
        [0, 1, 2].map((offset) => ({ id: `e${offset}` })),
      );
  });

  it('leaves the hour of another process to it, and makes the file of one that is gone', async () => {
    const path = await folder();
    const clock = new ManualClock(FIRST_MS + HOUR_MS - 1);
    const gone = open(path, {}, { clock, name: 'out' });
    await gone.deliver([logged(0)]);
    await gone.close?.();
    const sink = open(path, {}, { clock, name: 'out' });
    clock.advanceBy(2);
    await sink.deliver([{ ...logged(0), partition: 9 }]);
    await expect.poll(() => files(path), { timeout: 15_000 }).toHaveLength(1);
    clock.advanceBy(600_000);
    await expect.poll(() => files(path), { timeout: 15_000 }).toHaveLength(2);
    await sink.close?.();
  });

  it('keeps what two databases send apart, and gives their files names of their own', async () => {
    const path = await folder();
    const clock = new ManualClock(FIRST_MS);
    const of = async (space: string, offsets: number[]) => {
      const context = contextOf(filesProtocol, { folders: [path], clock, name: 'out' });
      const sink = fileSink({ ...context, space }, { folder: path }, 20);
      await sink.deliver(offsets.map((offset) => ({ ...logged(offset), event: event(`${space}${offset}`) })));
      return sink;
    };
    const sinks = [await of('a', [0, 1]), await of('b', [0, 1]), await of('a', [0, 1])];
    clock.advanceBy(HOUR_MS);
    await expect.poll(() => files(path), { timeout: 15_000 }).toHaveLength(2);
    const names = await files(path);
    const ids = (await Promise.all(names.map((name) => eventsOf(path, name)))).flat().map(({ id }) => id);
    expect(ids.sort()).toEqual(['a0', 'a1', 'b0', 'b1']);
    await Promise.all(sinks.map((sink) => sink.close?.()));
  });

  it('gives files names of their own, though two databases finish theirs in one moment', async () => {
    for (let round = 0; round < 20; round++) {
      const path = await folder();
      const parts = ['a', 'b', 'c'].map(
        (space) => new PartFile(path, { folder: path, space, partition: 3, format: 'json-lines' }),
      );
      await Promise.all(parts.map((part, value) => part.append([{ offset: 0, period: FIRST_MS, value }])));
      await Promise.all(parts.map((part) => part.finishBefore(FIRST_MS + 1)));
      expect((await readdir(join(path, '2026-01-01T0500'))).sort()).toEqual([
        '3-000000000000000-000000000000000-2.jsonl',
        '3-000000000000000-000000000000000-3.jsonl',
        '3-000000000000000-000000000000000.jsonl',
      ]);
    }
  });

  it('writes Parquet that is read as the same events', async () => {
    const path = await folder();
    const clock = new ManualClock(FIRST_MS);
    const sink = open(path, { format: 'parquet' }, { clock });
    const sent = [
      logged(0, FIRST_MS, { subject: "it's", data: { n: 1, in: [{ x: null }] }, tenant: 'a' }),
      logged(1, FIRST_MS, { data: 'text' }),
    ];
    await sink.deliver(sent);
    clock.advanceBy(HOUR_MS);
    await expect.poll(() => files(path), { timeout: 15_000 }).toHaveLength(1);
    await sink.close?.();
    const from = join(path, '2026-01-01T0500');
    const source = openSource(filesProtocol, { folder: from, settleSeconds: 0 }, { folders: [path] });
    const ended = new AbortController();
    for await (const { events, rejected } of source.read(undefined, ended.signal)) {
      expect(rejected).toEqual([]);
      expect(events).toEqual(sent.map(({ event }) => event));
      break;
    }
    ended.abort();
  });

  it('writes the data alone, with columns of its own in Parquet', async () => {
    const path = await folder();
    const clock = new ManualClock(FIRST_MS);
    const sink = open(path, { format: 'parquet' }, { clock, format: 'raw' });
    await sink.deliver([
      logged(0, FIRST_MS, { data: { n: 1 } }),
      logged(1, FIRST_MS, { data: { n: 2, t: 'x' } }),
    ]);
    clock.advanceBy(HOUR_MS);
    await expect.poll(() => files(path), { timeout: 15_000 }).toHaveLength(1);
    await sink.close?.();
    const rows = [];
    for await (const { value } of parquetRows(join(path, (await files(path))[0]!), FILE_START, {
      rowBytesMax: 1000,
    }))
      rows.push(value);
    expect(rows).toEqual([{ json: { n: 1, t: null } }, { json: { n: 2, t: 'x' } }]);
  });

  it('says that its folder is not allowed', async () => {
    const sink = open(await folder(), {}, { folders: [] });
    await expect(sink.deliver([logged(0)])).rejects.toMatchObject({ code: 'bridges.refused' });
    await sink.close?.();
  });
});
