import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CloudEvent, LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError, toAiosError } from '../../../../kernel/errors.ts';
import type { Json } from '../../../../kernel/json.ts';
import type { EventSink } from '../../port/event-source.ts';
import type { SinkContext } from '../../port/protocol.ts';
import { allowedFolder } from './drop-folder.ts';
import { PartFile } from './part-file.ts';

export interface FileSinkSettings {
  readonly folder: string;
  readonly format?: 'json-lines' | 'parquet';
  /** How long a file is written before it appears; an hour when left out. */
  readonly everySeconds?: number;
}

const EVERY_SECONDS = 3600;
const WHOLE = 'application/cloudevents+json';
const LOOK_MS = 5_000;
/** How long after its end a period of another process is left to it. */
const FOREIGN_MS = 600_000;
/**
 * Writes events into files by partition and hour of their commit: `2026-01-01T0500/3-000000000000100-000000000000250.jsonl` holds offsets 100 to 250 of partition 3. A file
 * appears when its hour is over, whole. Each event is in one file, once: what waits is kept with its offsets (`part-file.ts`).
 *
 * @throws AiosError `bridges.refused` for a folder that is not there or not allowed, `bridges.failed`
 */
export function fileSink(context: SinkContext, settings: FileSinkSettings, lookMs = LOOK_MS): EventSink {
  const writer = new FolderWriter(context, settings);
  const timer = setInterval(() => void writer.finishDue(), lookMs);
  timer.unref();
  return {
    group: context.group,
    async deliver(events, handing) {
      try {
        await writer.write(events, handing === 'again');
      } catch (error) {
        if (error instanceof AiosError) throw error;
        throw new AiosError('bridges.failed', { detail: (error as Error).message, cause: error });
      }
      context.answered();
      return { undone: [] };
    },
    async close() {
      clearInterval(timer);
      await writer.idle();
    },
  };
}

class FolderWriter {
  readonly #context: SinkContext;
  readonly #settings: FileSinkSettings;
  readonly #everyMs: number;
  readonly #own = new Set<number>();
  #isWhole: boolean | undefined;
  #opened: Promise<{ folder: string; hidden: string }> | undefined;
  #finishing: Promise<void> | undefined;

  constructor(context: SinkContext, settings: FileSinkSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#everyMs = (settings.everySeconds ?? EVERY_SECONDS) * 1000;
  }

  async write(events: readonly LoggedEvent[], isAgain: boolean): Promise<void> {
    await this.#folders();
    const runs = [...Map.groupBy(events, ({ partition }) => partition)];
    await Promise.all(
      runs.map(async ([partition, run]) => {
        const part = await this.#part(partition);
        if (!isAgain && !this.#own.has(partition)) {
          const place = await part.place();
          if (place >= 0) await this.#context.checkPlace(partition, place);
        }
        this.#own.add(partition);
        await part.append(
          run.map(({ offset, recordedAtMs, event }) => ({
            ...{ offset, period: Math.floor(recordedAtMs / this.#everyMs) * this.#everyMs },
            value: this.#valueOf(event),
          })),
          isAgain,
        );
      }),
    );
  }

  /** Makes files of the periods that are over. Never throws. */
  finishDue(): Promise<void> {
    this.#finishing ??= this.#finishDue()
      .catch((error: unknown) => this.#context.report(toAiosError(error)))
      .finally(() => {
        this.#finishing = undefined;
      });
    return this.#finishing;
  }

  async idle(): Promise<void> {
    await this.#finishing;
  }

  async #finishDue(): Promise<void> {
    const folders = await this.#folders().catch(() => undefined); // told of by the next delivery
    if (!folders) return;
    const { hidden } = folders;
    const nowMs = this.#context.clock.now();
    for (const name of await readdir(hidden)) {
      const part = PartFile.of(name);
      if (!part) continue;
      const isOwn = part.space === this.#context.space && this.#own.has(part.partition);
      const leftMs = isOwn ? 0 : FOREIGN_MS;
      await (await this.#part(part.partition, part.space)).finishBefore(nowMs - this.#everyMs - leftMs + 1);
    }
  }

  async #folders() {
    const opened = this.#opened ?? this.#open();
    this.#opened = opened;
    try {
      return await opened;
    } catch (error) {
      this.#opened = undefined;
      throw error;
    }
  }

  async #open() {
    const folder = await allowedFolder(this.#settings.folder, this.#context.egress.folders);
    const hidden = join(folder, `.${this.#context.name}`);
    await mkdir(hidden, { recursive: true });
    return { folder, hidden };
  }

  async #part(partition: number, space = this.#context.space): Promise<PartFile> {
    const { folder, hidden } = await this.#folders();
    const { format = 'json-lines' } = this.#settings;
    return new PartFile(hidden, { folder, space, partition, format });
  }

  /** The event as JSON, or its data alone, as the bridge says. */
  #valueOf(event: CloudEvent): Json {
    this.#isWhole ??= this.#context.encode(event).contentType?.startsWith(WHOLE) === true;
    if (this.#isWhole) return event as unknown as Json;
    return event.data ?? event.data_base64 ?? null;
  }
}
