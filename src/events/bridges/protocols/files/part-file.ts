import { createReadStream } from 'node:fs';
import { access, type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { isObject, type Json, type JsonObject } from '../../../../kernel/json.ts';
import { writeParquet } from './parquet.ts';

/** A line of a part: an event on its way into a file; on top of one that is empty, what was taken before; at the end of one that is whole, its file. */
interface Line {
  /** The highest offset that was taken, with this one. */
  readonly last: number;
  readonly offset?: number;
  /** When the period of the file begins, in milliseconds since the epoch. */
  readonly period?: number;
  readonly value?: Json;
  /** The path of the file below the folder: what stands before has become the content of it, and nothing more is added. */
  readonly target?: string;
}

export interface PartEvent {
  readonly offset: number;
  readonly period: number;
  readonly value: Json;
}

export interface PartOptions {
  readonly folder: string;
  /** Of the log: another database that writes here has the same partitions and other offsets. */
  readonly space: string;
  readonly partition: number;
  readonly format: 'json-lines' | 'parquet';
}

const TAIL_BYTES = 64 * 1024;
const FILE_BYTES_MAX = 256 * 1024 * 1024;
const DIGITS = 15;
/** What is done with a part waits for what was begun with it, by any sink of this process. */
const busy = new Map<string, Promise<unknown>>();

/**
 * The events of a partition that wait for the end of their period: lines with their offsets, safe on the disk, so that what comes again after a crash is
 * known by the last one. At its end a period becomes a file, which appears whole.
 */
export class PartFile {
  readonly #options: PartOptions;
  readonly #path: string;

  /** @param hidden the folder of the parts */
  constructor(hidden: string, options: PartOptions) {
    this.#options = options;
    this.#path = join(hidden, `${options.space}-${options.partition}.jsonl`);
  }

  /** Whose part a file in the folder of the parts is; nothing for another file. */
  static of(name: string): Pick<PartOptions, 'space' | 'partition'> | undefined {
    const [, space, partition] = /^(.+)-(\d+)\.jsonl$/.exec(name) ?? [];
    return space === undefined ? undefined : { space, partition: Number(partition) };
  }

  /** The last offset that it took; -1 for none. */
  place(): Promise<number> {
    return this.#alone(async () => (await lastLine(this.#path)).last);
  }

  /**
   * Safe when it resolves.
   *
   * @param isAgain whether they go in although later ones did
   */
  append(events: readonly PartEvent[], isAgain = false): Promise<void> {
    return this.#alone(async () => {
      let { last, period, bytes } = await this.#begun();
      let lines = '';
      for (const event of events) {
        if (event.offset <= last && !isAgain) continue;
        // Clocks of processes differ: a period that is over is not begun once more.
        const own = Math.max(event.period, period ?? event.period);
        if (period !== undefined && (own !== period || bytes + lines.length > FILE_BYTES_MAX)) {
          await this.#write(lines);
          await this.#finish(last, period);
          [lines, bytes] = ['', 0];
        }
        period = own;
        last = Math.max(last, event.offset);
        lines += `${JSON.stringify({ last, offset: event.offset, period, value: event.value } satisfies Line)}\n`;
      }
      await this.#write(lines);
    });
  }

  /** Makes a file of a period that began before. Says whether there was one. */
  finishBefore(time: number): Promise<boolean> {
    return this.#alone(async () => {
      const { last, period, target } = await lastLine(this.#path);
      if (period === undefined || period >= time) return false;
      await (target === undefined ? this.#finish(last, period) : this.#publish(target, last));
      return true;
    });
  }

  async #write(lines: string): Promise<void> {
    if (lines === '') return;
    await writeSafely(this.#path, 'a', async (handle) => {
      const isNew = (await handle.stat()).size === 0;
      await handle.appendFile(lines);
      if (isNew) await syncFolder(dirname(this.#path));
    });
  }

  /** What the part holds, once the file that a crash left half made is there. */
  async #begun(): Promise<Pick<Line, 'last' | 'period'> & { bytes: number }> {
    const found = await lastLine(this.#path);
    if (found.target === undefined) return found;
    await this.#publish(found.target, found.last);
    return lastLine(this.#path);
  }

  /** Makes a file of what is in the part. Its name is in the part before anybody sees it, so that after a crash it gets no more and no second one is made. */
  async #finish(last: number, period: number): Promise<void> {
    const { partition, format } = this.#options;
    const { first, highest, columns } = await this.#writeValues();
    if (format === 'parquet') {
      const written = `${this.#path}.parquet`;
      await writeParquet(this.#staged, written, columns);
      await writeSafely(written, 'r+', async () => {});
      await rename(written, this.#staged);
    }
    await syncFolder(dirname(this.#path));
    const range = [first, highest].map((offset) => String(offset).padStart(DIGITS, '0'));
    const day = new Date(period).toISOString().slice(0, 16).replace(':', '');
    const name = `${day}/${partition}-${range.join('-')}`;
    const target = await this.#freeName(name, format === 'parquet' ? 'parquet' : 'jsonl');
    await this.#write(`${JSON.stringify({ last, period, target } satisfies Line)}\n`);
    await this.#publish(target, last);
  }

  /** Offsets of two databases may be the same, and their hours end in one moment: who claims a name has it alone until its file is there. */
  async #freeName(name: string, end: string): Promise<string> {
    const { folder } = this.#options;
    for (let count = 1; ; count++) {
      const target = `${name}${count === 1 ? '' : `-${count}`}.${end}`;
      const claim = claimOf(folder, target);
      if (!(await isMade(claim))) continue;
      const isTaken = await access(join(folder, target)).then(
        () => true,
        () => false,
      );
      if (!isTaken) return target;
      await rm(claim, { force: true });
    }
  }

  /** The values alone, a line each. */
  async #writeValues() {
    const columns = new Map<string, string>();
    let isEvents = true;
    let [first, highest] = [Number.POSITIVE_INFINITY, -1];
    await writeSafely(this.#staged, 'w', async (handle) => {
      for await (const line of linesOf(this.#path)) {
        if (line.offset === undefined) continue;
        first = Math.min(first, line.offset);
        highest = Math.max(highest, line.offset);
        isEvents &&= isObject(line.value) && line.value.specversion === '1.0';
        if (isEvents) for (const member in line.value as JsonObject) columns.set(member, columnOf(member));
        await handle.appendFile(`${JSON.stringify(line.value)}\n`);
      }
    });
    return { first, highest, columns: isEvents ? Object.fromEntries(columns) : undefined };
  }

  /** The content of the file, until it has its name. */
  get #staged(): string {
    return `${this.#path}.whole`;
  }

  /** Gives the file its name, unless it has it already, and empties the part. Each name is safe before what it replaces is gone. */
  async #publish(target: string, last: number): Promise<void> {
    const { folder } = this.#options;
    const path = join(folder, target);
    await mkdir(dirname(path), { recursive: true });
    await rename(this.#staged, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error; // it was renamed before a crash; a reader may have taken it away since
    });
    await rm(claimOf(folder, target), { force: true });
    await syncFolder(dirname(path));
    await syncFolder(folder);
    const empty = `${this.#path}.empty`;
    await writeSafely(empty, 'w', (handle) =>
      handle.writeFile(`${JSON.stringify({ last } satisfies Line)}\n`),
    );
    await rename(empty, this.#path);
    await syncFolder(dirname(this.#path));
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const before = busy.get(this.#path);
    const done = (before ?? Promise.resolve()).then(work, work);
    busy.set(this.#path, done);
    try {
      return await done;
    } finally {
      if (busy.get(this.#path) === done) busy.delete(this.#path);
    }
  }
}

/** Readers leave names with a dot alone. */
function claimOf(folder: string, target: string): string {
  return join(folder, `.${target.replaceAll('/', '-')}.claim`);
}

/** False where it was there already. */
async function isMade(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx')).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Attributes of events are texts, also where they are numbers: events differ. */
function columnOf(attribute: string): string {
  return attribute === 'data' ? 'JSON' : 'VARCHAR';
}

async function writeSafely(
  path: string,
  flags: string,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const handle = await open(path, flags);
  try {
    await write(handle);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A file that was made or renamed is safe when its folder is. */
function syncFolder(path: string): Promise<void> {
  return writeSafely(path, 'r', async () => {});
}

async function* linesOf(path: string): AsyncGenerator<Line> {
  for await (const line of createInterface({
    input: createReadStream(path),
    crlfDelay: Number.POSITIVE_INFINITY,
  }))
    yield JSON.parse(line) as Line;
}

/** What the last whole line says; half of one after it, of a crash, is cut off. Read from the end: parts grow for an hour. */
async function lastLine(path: string): Promise<Pick<Line, 'last' | 'period' | 'target'> & { bytes: number }> {
  const handle = await open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!handle) return { last: -1, bytes: 0 };
  try {
    const { size } = await handle.stat();
    for (let length = TAIL_BYTES; size > 0; length *= 2) {
      const from = Math.max(0, size - length);
      const tail = Buffer.alloc(size - from);
      await handle.read(tail, 0, tail.length, from);
      const end = tail.lastIndexOf(0x0a) + 1;
      const start = end > 1 ? tail.lastIndexOf(0x0a, end - 2) + 1 : 0;
      if (from > 0 && start === 0) continue; // the last line is longer than this
      if (from + end < size) await handle.truncate(from + end);
      if (end === 0) break;
      return { ...(JSON.parse(tail.subarray(start, end).toString('utf8')) as Line), bytes: from + end };
    }
    return { last: -1, bytes: 0 };
  } finally {
    await handle.close();
  }
}
