import { extname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError } from '../../../../kernel/errors.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import { decodedBatch } from '../../messages/decoded.ts';
import type { EventSource, SourceBatch } from '../../port/event-source.ts';
import type { IncomingMessage, SourceContext } from '../../port/protocol.ts';
import {
  allowedFolder,
  DropFolder,
  type DroppedFile,
  type FileStatus,
  type FoundFile,
  folderFailure,
  isOfSystem,
} from './drop-folder.ts';
import { FILE_START, type FileFormat, type Row, type RowPlace } from './row.ts';
import { rowsOf } from './rows.ts';

export interface FileSourceSettings {
  readonly folder: string;
  /** Names with `*` and `?`; all when left out. */
  readonly pattern?: string;
  /** By the end of the name when left out: `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.parquet`. */
  readonly format?: FileFormat;
  /** Of CSV; a comma when left out, a tab for `.tsv`. */
  readonly delimiter?: string;
  /** Of CSV without a header. */
  readonly columns?: readonly string[];
  /** What becomes of a file that was read. */
  readonly after?: 'move' | 'keep';
  /** How long a file has to be as it is before it is read. */
  readonly settleSeconds?: number;
}

type Taken = [name: string, size: number, digest: string];

/** The files that were read, the last ones last, and the one that is being read. */
interface Place {
  readonly taken: readonly Taken[];
  readonly current?: (RowPlace & { readonly file: string; readonly digest: string }) | undefined;
}

const LOOK_MS = 500;
const SETTLE_SECONDS = 2;
const BATCH_ROWS = 500;
/** Files that are known by name, size and digest. */
const TAKEN_MAX = 1000;
/** Fewer, so that none that is still there is forgotten for others that are not. */
const KEPT_MAX = 500;
const FORMATS: Readonly<Record<string, FileFormat>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.jsonl': 'json-lines',
  '.ndjson': 'json-lines',
  '.parquet': 'parquet',
};

/**
 * The rows of files that are put into a folder, file by file in the order of their names. The place is the file with the row that comes next, and the files that were
 * read: a crash in the middle of a file goes on at the row. A row that cannot be read is a dead letter with its file and line; a file that cannot be is set aside.
 *
 * @throws AiosError `bridges.refused` for a folder that is not there or not allowed
 */
export function fileSource(
  context: SourceContext,
  settings: FileSourceSettings,
  lookMs = LOOK_MS,
): EventSource {
  return {
    name: context.name,
    async *read(from, signal) {
      const path = await allowedFolder(settings.folder, context.egress.folders);
      const { pattern = '*', settleSeconds = SETTLE_SECONDS } = settings;
      const folder = new DropFolder(path, { pattern, settleMs: settleSeconds * 1000 });
      const reader = new FolderReader(context, settings, folder, from);
      try {
        while (!signal.aborted) {
          const files = await folder.files();
          context.answered();
          let isIdle = true;
          for await (const batch of reader.read(files)) {
            isIdle = false;
            yield batch;
            if (signal.aborted) return;
          }
          if (isIdle) await sleep(lookMs, undefined, { signal }).catch(() => {});
        }
      } catch (error) {
        throw folderFailure(error);
      }
    },
  };
}

class FolderReader {
  readonly #context: SourceContext;
  readonly #settings: FileSourceSettings;
  readonly #folder: DropFolder;
  #place: Place;
  /** Files that are still to be read. */
  #left = 0;

  constructor(
    context: SourceContext,
    settings: FileSourceSettings,
    folder: DropFolder,
    from: JsonObject | undefined,
  ) {
    this.#context = context;
    this.#settings = settings;
    this.#folder = folder;
    this.#place = (from as Place | undefined) ?? { taken: [] };
  }

  /** The one that was begun comes first, whatever was put beside it since. */
  async *read(files: readonly FoundFile[]): AsyncGenerator<SourceBatch> {
    if (this.#settings.after === 'keep' && files.length > KEPT_MAX)
      throw new AiosError('bridges.refused', {
        detail: `${files.length} files are kept in ${this.#folder.path}; at most ${KEPT_MAX} are told apart. Move those that were read.`,
      });
    this.#tellLeft(files.filter((file) => !this.#isKnown(file)).length);
    const isCurrent = ({ name }: FoundFile) => this.#place.current?.file === name;
    for (const found of [...files.filter(isCurrent), ...files.filter((one) => !isCurrent(one))]) {
      const file = await this.#folder.identified(found);
      if (!file) continue; // another process has read and moved it
      if (this.#isTaken(file)) await this.#finish(file, file);
      else yield* this.#readFile(file);
    }
  }

  #isTaken({ name, size, digest }: DroppedFile): boolean {
    return this.#place.taken.some((one) => one[0] === name && one[1] === size && one[2] === digest);
  }

  /** As far as it is known without its content. */
  #isKnown({ name, size }: FoundFile): boolean {
    return this.#place.taken.some((one) => one[0] === name && one[1] === size);
  }

  #tellLeft(files: number): void {
    this.#left = Math.max(0, files);
    this.#context.behind(this.#left);
  }

  /** @param end what it was when its last row was read */
  async #finish(file: DroppedFile, end: FileStatus | undefined): Promise<void> {
    if (this.#settings.after === 'keep' || (await this.#folder.finish(file, end))) return;
    const detail = `${file.name}: it was written to while it was read, or behind that; it is read again as it is now.`;
    this.#context.report(new AiosError('bridges.file_changed', { detail }));
  }

  async *#readFile(file: DroppedFile): AsyncGenerator<SourceBatch> {
    const { current } = this.#place;
    const isBegun = current?.file === file.name && current.digest === file.digest;
    let rows: Row[] = [];
    let bytes = 0;
    let fault: Error | undefined;
    const bytesMax = this.#context.limits.bridgeReadBytesMax;
    try {
      const from = isBegun ? current : FILE_START;
      for await (const row of rowsOf(this.#folder.pathOf(file.name), from, this.#rowOptions(file.name))) {
        rows.push(row);
        const rowsMax = Math.min(BATCH_ROWS, this.#context.batchMax());
        bytes += row.bytes;
        if (rows.length < rowsMax && bytes < bytesMax) continue;
        yield this.#batch(file, rows);
        [rows, bytes] = [[], 0];
      }
    } catch (error) {
      // What the system says is no fault of the file, also where a library says it in words of its own.
      if (!(await this.#folder.isReadable(file.name))) return;
      if (isOfSystem(error)) throw error;
      fault = error as Error;
    }
    if (fault) yield this.#batchBefore(fault, file, rows);
    else yield this.#lastBatch(file, rows, await this.#folder.status(file.name));
  }

  /** @throws Error for a name that says no format */
  #rowOptions(name: string) {
    const { format = FORMATS[extname(name).toLowerCase()], columns } = this.#settings;
    if (!format)
      throw new Error(
        'Its name does not end with .csv, .tsv, .jsonl, .ndjson or .parquet, and the bridge says no format.',
      );
    const { delimiter = extname(name).toLowerCase() === '.tsv' ? '\t' : ',' } = this.#settings;
    return { format, columns, delimiter, rowBytesMax: this.#context.limits.eventBytesMax };
  }

  #batch(file: DroppedFile, rows: readonly Row[]): SourceBatch {
    const current = { file: file.name, digest: file.digest, ...rows.at(-1)!.next };
    return this.#decoded(file, rows, { taken: this.#place.taken, current });
  }

  /** With it the file is read; only then it is moved. */
  #lastBatch(file: DroppedFile, rows: readonly Row[], end: FileStatus | undefined): SourceBatch {
    const { name, size, digest } = file;
    const taken: Taken[] = [...this.#place.taken, [name, size, digest]];
    const batch = this.#decoded(file, rows, { taken: taken.slice(-TAKEN_MAX) });
    const acknowledge = async () => {
      this.#tellLeft(this.#left - 1);
      await this.#moveOut(this.#finish(file, end));
    };
    return { ...batch, acknowledge };
  }

  /** The rest of a file that cannot be read further. It is not taken: where it cannot be set aside now, it is later. */
  #batchBefore(fault: Error, file: DroppedFile, rows: readonly Row[]): SourceBatch {
    const { name, digest } = file;
    const { taken, current } = this.#place;
    const begun = current?.file === name && current.digest === digest ? current : FILE_START;
    const next = { file: name, digest, ...(rows.at(-1)?.next ?? begun) };
    const batch = this.#decoded(file, rows, { taken, current: next });
    const acknowledge = async () => {
      const reason = `${name}: ${fault.message}`;
      if (!(await this.#moveOut(this.#folder.setAside(file, reason)))) return;
      this.#tellLeft(this.#left - 1);
      this.#context.report(new AiosError('bridges.file_invalid', { detail: reason }));
    };
    return { ...batch, acknowledge };
  }

  /** Outside of the reading, whose failures are told otherwise. */
  async #moveOut<Result>(moving: Promise<Result>): Promise<Result> {
    try {
      return await moving;
    } catch (error) {
      throw folderFailure(error);
    }
  }

  #decoded(file: DroppedFile, rows: readonly Row[], place: Place): SourceBatch {
    const { name, digest, timeMs } = file;
    const messages = rows.map(
      ({ value, line, fault }): IncomingMessage => ({
        ...{ id: `${name}:${digest}:${line}`, topic: name, value, headers: {}, timeMs },
        position: { file: name, line },
        ...(fault === undefined ? {} : { fault: `line ${line}: ${fault}` }),
      }),
    );
    this.#place = place;
    return decodedBatch(this.#context, messages, place as unknown as JsonObject);
  }
}
