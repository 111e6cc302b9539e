import { chmodSync, renameSync } from 'node:fs';
import { access, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CloudEvent } from '../../../../kernel/cloudevent.ts';
import type { AiosError } from '../../../../kernel/errors.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import { event } from '../../../event-under-test.ts';
import type { EventSource, SourceBatch } from '../../port/event-source.ts';
import { sourceConformance } from '../../port/source-conformance.ts';
import { follow } from '../following-under-test.ts';
import { contextOf } from '../protocol-under-test.ts';
import { fileSource } from './file-source.ts';
import { filesProtocol } from './files-protocol.ts';
import { drop, folder, lines, openFiles as open } from './files-under-test.ts';
import { writeParquet } from './parquet.ts';

/** What a source brings until `count` events and letters came, or `isEnough` says so. */
const take = async (
  source: EventSource,
  count: number,
  from?: JsonObject,
  isEnough: (batch: SourceBatch) => boolean = () => false,
) => {
  const ended = new AbortController();
  const taken = {
    events: [] as CloudEvent[],
    rejected: [] as { error: AiosError; letter: CloudEvent }[],
    position: from,
  };
  for await (const batch of source.read(from, ended.signal)) {
    taken.events.push(...batch.events);
    taken.rejected.push(...(batch.rejected ?? []));
    taken.position = batch.position;
    if (isEnough(batch)) break;
    await batch.acknowledge?.();
    if (taken.events.length + taken.rejected.length >= count) break;
  }
  ended.abort();
  return taken;
};

sourceConformance('files', async () => {
  const path = await folder();
  let files = 0;
  return {
    put: (events) => drop(path, `${String(files++).padStart(4, '0')}.jsonl`, lines(events)),
    open: (more) => open(path, {}, more),
  };
});

describe('a source of files', () => {
  const mapping = { events: { type: "'row'", subject: 'topic' } };

  it('brings the rows of CSV, one by one, and puts aside those that are broken, with their line', async () => {
    const path = await folder();
    await drop(
      path,
      'orders.csv',
      '\uFEFFid,name,note\r\n1,"Müller, Anna","said ""yes""\nand no"\r\n2,only two\r\n\r\n4,D,5" pipe\r\n5,,""\r\n6,"a"b,c\r\n7,"open,x\r\n8,last,one',
    );
    const { events, rejected } = await take(open(path, {}, mapping), 7);
    expect(events.map(({ data }) => data)).toEqual([
      { id: '1', name: 'Müller, Anna', note: 'said "yes"\nand no' },
      { id: '4', name: 'D', note: '5" pipe' },
      { id: '5', name: null, note: '' },
      { id: '8', name: 'last', note: 'one' },
    ]);
    expect(rejected.map(({ error, letter }) => [error.code, (letter.data as JsonObject).position])).toEqual(
      [4, 8, 9].map((line) => ['bridges.message_invalid', { file: 'orders.csv', line }]),
    );
    expect(rejected[0]!.error.message).toContain('line 4: 2 fields; the header has 3');
    expect(await readdir(join(path, 'done'))).toEqual(['orders.csv']);
  });

  it('leaves out the byte order mark that a file begins with, and no other', async () => {
    const path = await folder();
    await drop(path, 'a.csv', '\uFEFF"first\r\nname",n\r\n"\uFEFFx",1\r\n');
    await drop(path, 'b.jsonl', '\uFEFF{"n":1}\n{"t":"\uFEFF"}\n');
    await drop(path, 'c.csv', '\uFEFF');
    const { events, rejected } = await take(open(path, {}, mapping), 3);
    expect(events.map(({ data }) => data)).toEqual([
      { 'first\r\nname': '\uFEFFx', n: '1' },
      ...[{ n: 1 }, { t: '\uFEFF' }],
    ]);
    expect(rejected).toEqual([]);
  });

  it('brings CSV without a header, with another delimiter', async () => {
    const path = await folder();
    await drop(path, 'a.txt', '1;x\n2;y\n');
    await drop(path, 'b.tsv', 'n\tt\n1\tx\n');
    const settings = { format: 'csv', pattern: '*.t?t', delimiter: ';', columns: ['n', 't'] };
    const { events } = await take(open(path, settings, mapping), 2);
    expect(events.map(({ data, subject }) => [subject, data])).toEqual([
      ['a.txt', { n: '1', t: 'x' }],
      ['a.txt', { n: '2', t: 'y' }],
    ]);
    const tabs = await take(open(path, {}, mapping), 1);
    expect(tabs.events.map(({ data }) => data)).toEqual([{ n: '1', t: 'x' }]);
  });

  it('brings the rows of Parquet with their types, and goes on in the middle', async () => {
    const path = await folder();
    const rows = Array.from({ length: 3000 }, (_, n) => ({
      n,
      text: `t${n}`,
      when: '2026-01-02T03:04:05Z',
      in: { a: [n] },
    }));
    await writeFile(join(path, 'rows.values'), lines(rows));
    await writeParquet(join(path, 'rows.values'), join(path, '.rows.parquet'), {
      ...{ n: 'BIGINT', text: 'VARCHAR', when: 'TIMESTAMP', in: 'STRUCT(a BIGINT[])' },
    });
    await rename(join(path, '.rows.parquet'), join(path, 'rows.parquet'));
    const source = () => open(path, { pattern: '*.parquet' }, mapping);
    const first = await take(source(), 1000);
    expect(first.events).toHaveLength(1000);
    const rest = await take(source(), 2000, first.position);
    const all = [...first.events, ...rest.events].map(({ data }) => data);
    expect(all).toEqual(rows.map((row) => ({ ...row, when: '2026-01-02T03:04:05.000000Z' })));
  });

  it('reads numbers of Parquet that JSON does not have: integers past 2^53 as texts, NaN as null; 1e400 is a dead letter', async () => {
    const path = await folder();
    const rows = [
      '{"id":9007199254740993,"v":"NaN","j":{"a":1}}',
      '{"id":7,"v":1e20,"j":{"a":1e400}}',
      '{"id":9007199254740991,"v":"-Infinity","j":"NaN"}',
    ];
    await writeFile(join(path, 'rows.values'), rows.join('\n'));
    await writeParquet(join(path, 'rows.values'), join(path, 'rows.parquet'), {
      ...{ id: 'BIGINT', v: 'DOUBLE', j: 'JSON' },
    });
    const { events, rejected } = await take(open(path, { pattern: '*.parquet' }, mapping), 3);
    expect(events.map(({ data }) => data)).toMatchObject([
      { id: '9007199254740993', v: null },
      { id: 9007199254740991, v: null, j: 'NaN' },
    ]);
    expect(rejected.map(({ letter }) => (letter.data as JsonObject).position)).toEqual([
      { file: 'rows.parquet', line: 2 },
    ]);
  });

  it('reads times, decimals and bytes of Parquet without a loss, however deep they lie', async () => {
    const path = await folder();
    const duck = await (await DuckDBInstance.create()).connect();
    const time = "'2026-01-02T03:04:05Z'::TIMESTAMP";
    await duck.run(
      `copy (select ['2026-01-02T05:04:05+02'::TIMESTAMPTZ, null] as times, null::TIMESTAMP[] as none, null::STRUCT(t TIMESTAMP) as gone,
         [{'n': 1, 'a ''b"c': ${time}}] as "in", map {'k': ${time}} as byname, 1234567890123456.5678::DECIMAL(20, 4) as price,
         0.10::DECIMAL(38, 18) as short, '100000000000000000000000'::DECIMAL(38, 0) as id, 5::DECIMAL(38, 0) as whole,
         encode('caf\u00e9') as text, unhex('FF00') as bytes) to '${join(path, 'rows.parquet')}'`,
    );
    duck.closeSync();
    const { events } = await take(open(path, {}, mapping), 1);
    const read = '2026-01-02T03:04:05.000000Z';
    expect(events.map(({ data }) => data)).toEqual([
      {
        ...{
          times: [read, null],
          none: null,
          gone: null,
          in: [{ n: 1, 'a \'b"c': read }],
          byname: { k: read },
        },
        ...{ price: '1234567890123456.5678', short: 0.1, id: '100000000000000000000000', whole: 5 },
        ...{ text: 'caf\u00e9', bytes: '/wA=' },
      },
    ]);
  });

  it('reads whole numbers of JSON lines that a number would change as the texts of their digits', async () => {
    const path = await folder();
    await drop(path, 'ids.jsonl', '{"id":9007199254740993}\n{"id":9007199254740994}\n');
    const { events } = await take(open(path, { pattern: '*.jsonl' }, mapping), 2);
    expect(events.map(({ data }) => data)).toEqual([{ id: '9007199254740993' }, { id: 9007199254740994 }]);
  });

  it('hands over rows of Parquet in batches of a bounded number of bytes', async () => {
    const path = await folder();
    const rows = Array.from({ length: 12 }, () => ({ t: 'x'.repeat(300_000) }));
    await writeFile(join(path, 'rows.values'), lines(rows));
    await writeParquet(join(path, 'rows.values'), join(path, 'rows.parquet'));
    const counts: number[] = [];
    await take(open(path, { pattern: '*.parquet' }, mapping), 12, undefined, ({ events }) => {
      counts.push(events.length);
      return false;
    });
    expect(counts).toEqual([7, 5]); // the seventh is the one that passes 2 MiB
  });

  it('puts aside rows that are larger than an event may be, of every format', async () => {
    const path = await folder();
    const large = { t: 'x'.repeat(1_100_000) };
    await writeFile(join(path, 'rows.values'), lines([{ t: 'p' }, large, { t: 'q' }]));
    await writeParquet(join(path, 'rows.values'), join(path, '.c.parquet'));
    await drop(path, 'a.csv', `t\n${large.t}\nu\n`);
    await drop(path, 'b.jsonl', lines([large, { t: 'v' }]));
    await rename(join(path, '.c.parquet'), join(path, 'c.parquet'));
    const { events, rejected } = await take(open(path, { pattern: '?.*' }, mapping), 7);
    expect(events.map(({ data }) => (data as { t: string }).t)).toEqual(['u', 'v', 'p', 'q']);
    expect(rejected.map(({ letter }) => (letter.data as JsonObject).position)).toEqual([
      ...[
        { file: 'a.csv', line: 2 },
        { file: 'b.jsonl', line: 1 },
        { file: 'c.parquet', line: 2 },
      ],
    ]);
  });

  it('goes on at the row where it was, when its commit was the last that was made', async () => {
    const path = await folder();
    const rows = Array.from({ length: 1800 }, (_, n) => ({ n }));
    await drop(path, 'rows.jsonl', lines(rows));
    const { events, position } = await take(open(path, {}, mapping), 600);
    expect(events).toHaveLength(1000);
    expect(position).toMatchObject({ current: { file: 'rows.jsonl', line: 1001 }, taken: [] });
    await drop(path, 'before.jsonl', lines([{ n: -1 }]));
    const rest = await take(open(path, {}, mapping), 801, position);
    expect(rest.events.map(({ data }) => (data as { n: number }).n)).toEqual([
      ...rows.slice(1000).map(({ n }) => n),
      -1,
    ]);
  });

  it('takes a file once, by its name and content, also when it could not be moved', async () => {
    const path = await folder();
    await drop(path, 'a.jsonl', lines([{ n: 1 }]));
    const isLast = (batch: SourceBatch) => batch.position.current === undefined;
    const { position } = await take(open(path, {}, mapping), 1, undefined, isLast); // committed, then a crash
    await drop(path, 'b.jsonl', lines([{ n: 2 }]));
    const second = await take(open(path, {}, mapping), 1, position);
    expect(second.events.map(({ data }) => data)).toEqual([{ n: 2 }]);
    expect((await readdir(join(path, 'done'))).sort()).toEqual(['a.jsonl', 'b.jsonl']);
    await drop(path, 'a.jsonl', lines([{ n: 1 }])); // again
    await drop(path, 'b.jsonl', lines([{ n: 3 }])); // another
    const third = await take(open(path, { after: 'keep' }, mapping), 1, second.position);
    expect(third.events.map(({ data }) => data)).toEqual([{ n: 3 }]);
    await drop(path, 'c.jsonl', lines([{ n: 4 }]));
    const fourth = await take(open(path, { after: 'keep' }, mapping), 1, third.position);
    expect(fourth.events.map(({ data }) => data)).toEqual([{ n: 4 }]);
    expect((await readdir(path)).sort()).toEqual(['a.jsonl', 'b.jsonl', 'c.jsonl', 'done']);
  });

  it('sets aside a file that cannot be read, with the reason, and goes on', async () => {
    const path = await folder();
    const reports: AiosError[] = [];
    await drop(path, 'a.parquet', 'no parquet');
    await drop(path, 'b.csv', 'x,,z\n1,2,3\n');
    await drop(path, 'c.dat', 'what is it');
    await drop(path, 'd.jsonl', '{"n":1}\nnot json\n');
    const { events, rejected } = await take(open(path, {}, { ...mapping, reports }), 2);
    expect(events.map(({ data }) => data)).toEqual([{ n: 1 }]);
    expect(rejected.map(({ letter }) => (letter.data as JsonObject).text)).toEqual(['not json']);
    expect(reports.map(({ code }) => code)).toEqual(Array(3).fill('bridges.file_invalid'));
    expect((await readdir(join(path, 'failed'))).sort()).toEqual(
      ['a.parquet', 'b.csv', 'c.dat'].flatMap((name) => [name, `${name}.reason.txt`]),
    );
    expect(await readFile(join(path, 'failed', 'b.csv.reason.txt'), 'utf8')).toContain(
      'no name for column 2',
    );
  });

  describe('whose rights are taken', () => {
    // No right is taken from the superuser.
    const isRoot = process.geteuid!() === 0;
    beforeAll(() => void (isRoot && process.seteuid!(65_534)));
    afterAll(() => void (isRoot && process.seteuid!(0)));
    const ids = ({ events }: { events: readonly CloudEvent[] }) => events.map(({ id }) => id);

    it.each([
      ['of looking into it', 0o000],
      ['of its files', 0o444],
      ['of moving what was read', 0o555],
    ])('goes on when the right %s is given back', async (_what, mode) => {
      const path = await folder();
      const following = follow(open(path));
      await drop(path, 'a.jsonl', lines([event('a')]));
      await expect.poll(() => ids(following)).toEqual(['a']);
      await drop(path, '.b.jsonl', lines([event('b')]));
      await expect.poll(() => readdir(join(path, 'done'))).toEqual(['a.jsonl']);
      renameSync(join(path, '.b.jsonl'), join(path, 'b.jsonl'));
      chmodSync(path, mode); // before the source looks again
      await expect.poll(() => following.faults).toEqual(['bridges.refused']);
      chmodSync(path, 0o700);
      await drop(path, 'c.jsonl', lines([event('c')]));
      await expect.poll(() => ids(following)).toEqual(['a', 'b', 'c']);
      await following.stop();
      expect((await readdir(join(path, 'done'))).sort()).toEqual(['a.jsonl', 'b.jsonl', 'c.jsonl']);
    });

    it.each(['jsonl', 'parquet'])('does not set a file aside that it may not open (%s)', async (format) => {
      const path = await folder();
      await writeFile(join(path, '.values'), lines([{ n: 1 }]));
      if (format === 'parquet') await writeParquet(join(path, '.values'), join(path, 'a.parquet'));
      else await rename(join(path, '.values'), join(path, 'a.jsonl'));
      const reports: AiosError[] = [];
      const context = contextOf(filesProtocol, { folders: [path], reports, ...mapping });
      let isTaken = true;
      const before = {
        ...context,
        // It is asked for between the digest of a file and its reading.
        get limits() {
          if (isTaken) chmodSync(join(path, `a.${format}`), 0o000);
          return context.limits;
        },
      };
      const following = follow(fileSource(before, { folder: path, settleSeconds: 0 }, 5));
      await expect.poll(() => following.faults).toEqual(['bridges.refused']);
      isTaken = false;
      chmodSync(join(path, `a.${format}`), 0o600);
      await expect.poll(() => following.events.map(({ data }) => data)).toEqual([{ n: 1 }]);
      await following.stop();
      expect([reports, await readdir(join(path, 'done'))]).toEqual([[], [`a.${format}`]]);
    });

    it('sets a file aside once it may, and not among those that were read', async () => {
      const path = await folder();
      const reports: AiosError[] = [];
      await drop(path, 'a.parquet', 'no parquet');
      chmodSync(path, 0o555);
      const following = follow(open(path, {}, { reports }));
      await expect.poll(() => following.faults).toEqual(['bridges.refused']);
      expect(reports).toEqual([]);
      chmodSync(path, 0o700);
      await expect.poll(() => reports.map(({ code }) => code)).toEqual(['bridges.file_invalid']);
      await following.stop();
      expect((await readdir(path)).sort()).toEqual(['failed']);
      expect(await readdir(join(path, 'failed'))).toContain('a.parquet.reason.txt');
    });
  });

  it('leaves a file that is still written, and one that ends with .part', async () => {
    const path = await folder();
    await drop(path, 'a.jsonl.part', lines([event('part')]));
    await drop(path, 'b.jsonl', lines([event('b1')]));
    const source = open(path, { settleSeconds: 1 });
    const reading = take(source, 2);
    const writing = setInterval(() => {
      writeFile(join(path, 'b.jsonl'), lines([event('b2')]), { flag: 'a' }).catch(() => {});
      clearInterval(writing);
    }, 600);
    const { events } = await reading;
    expect(events.map(({ id }) => id)).toEqual(['b1', 'b2']);
    await access(join(path, 'a.jsonl.part'));
  });

  it('says when more files are kept than it can tell apart', async () => {
    const path = await folder();
    for (let n = 0; n <= 500; n++) await writeFile(join(path, `${n}.jsonl`), '');
    await expect(take(open(path, { after: 'keep' }), 1)).rejects.toMatchObject({
      message: expect.stringContaining('at most 500'),
    });
  });

  it('reads only where the operator allows it', async () => {
    const path = await folder();
    for (const [settings, folders] of [
      [{}, []],
      [{}, [`${path}x`]],
      [{ folder: join(path, 'none') }, [path]],
    ] as const)
      await expect(take(open(path, settings, { folders }), 1)).rejects.toMatchObject({
        code: 'bridges.refused',
      });
  });

  it.each(['move', 'keep'])('tells how many files are left (after: %s)', async (after) => {
    const path = await folder();
    for (const name of ['a', 'b', 'c']) await drop(path, `${name}.jsonl`, lines([event(name)]));
    const left: number[] = [];
    const following = follow(open(path, { after }, { behind: (files: number) => void left.push(files) }));
    await expect.poll(() => following.events).toHaveLength(3);
    await expect.poll(() => left.at(-1)).toBe(0);
    await drop(path, 'd.jsonl', lines([event('d')]));
    await expect.poll(() => following.events).toHaveLength(4);
    await expect.poll(() => left.at(-1)).toBe(0);
    await following.stop();
    expect(left.filter((count, at) => count !== left[at - 1])).toEqual([3, 2, 1, 0, 1, 0]);
  });
});
