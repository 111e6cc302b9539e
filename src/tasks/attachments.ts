import { createHash } from 'node:crypto';
import { AiosError } from '../kernel/errors.ts';
import { derivedId } from '../kernel/ids.ts';
import { type Lane, type Write, write } from '../store/lane.ts';
import { columns, timestamp } from '../store/rows.ts';
import type { Person } from './candidates.ts';
import type { TaskDesk } from './task-desk.ts';
import type { Named } from './task-reader.ts';

/** A file beside a task; its bytes are kept once under their digest. Times are milliseconds since the epoch. */
export interface Attachment {
  readonly id: string;
  readonly taskId: string;
  readonly name: string;
  readonly mediaType: string;
  /** `sha256:` and hex. */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly at: number;
  readonly by: Named;
}

interface NewAttachment {
  id: string;
  by: Person;
  name: string;
  mediaType: string;
  bytes: Uint8Array;
}

/**
 * What people may attach: documents, pictures, tables, mail. Nothing that a browser would run: neither HTML nor SVG nor scripts. Whatever it is called, it is handed
 * out to be saved, never to be shown.
 */
const MEDIA_TYPES: ReadonlySet<string> = new Set([
  'application/pdf',
  'application/json',
  'application/msword',
  'application/vnd.ms-excel',
  'application/vnd.oasis.opendocument.spreadsheet',
  'application/vnd.oasis.opendocument.text',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  'application/zip',
  'image/gif',
  'image/heic',
  'image/jpeg',
  'image/png',
  'image/tiff',
  'image/webp',
  'message/rfc822',
  'text/csv',
  'text/markdown',
  'text/plain',
]);
const NAME_CHARS_MAX = 200;
// biome-ignore lint/suspicious/noControlCharactersInRegex: what must not stand in a file's name
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069/\\]/;

const filesLane: Lane<{ digest: string; bytes: Uint8Array }> = {
  name: 'task files',
  order: 42,
  async write(tx, items) {
    // In the order of their digests, so that two writers of the same files cannot wait for each other crosswise.
    const files = [...new Map(items.map((item) => [item.digest, item])).values()];
    await tx.query(
      'insert into task_files (digest, bytes) select * from unnest($1::text[], $2::bytea[]) as f(digest, bytes) order by digest on conflict (digest) do nothing',
      columns(files, ({ digest, bytes }) => [digest, bytes]),
    );
    return undefined;
  },
};

const attachmentsLane: Lane<Attachment> = {
  name: 'task attachments',
  order: 43,
  async write(tx, items) {
    await tx.query(
      `insert into task_attachments (id, task_id, name, media_type, digest, size_bytes, at, by_id, by_name)
       select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::timestamptz[], $8::text[], $9::text[])
       on conflict (id) do nothing`,
      columns(items, ({ id, taskId, name, mediaType, digest, sizeBytes, at, by }) => [
        id,
        taskId,
        name,
        mediaType,
        digest,
        sizeBytes,
        timestamp(at),
        by.id,
        by.name,
      ]),
    );
    return undefined;
  },
};

const COLUMNS =
  'id, task_id as "taskId", name, media_type as "mediaType", digest, size_bytes as "sizeBytes", at, by_id as "byId", by_name as "byName"';
type Stored = Omit<Attachment, 'by'> & { byId: string; byName: string };

/** Files beside tasks. */
export class TaskAttachments {
  readonly #desk: TaskDesk;

  constructor(desk: TaskDesk) {
    this.#desk = desk;
  }

  /**
   * Attaches a file. The same file under the same name is the same attachment.
   *
   * @throws AiosError `tasks.unknown`, `tasks.too_large`, `tasks.media_type`, `tasks.attachments_full`, `request.invalid` for an unsafe name
   * @example await tasks.attachments.add({ id, by: ann, name: 'receipt.pdf', mediaType: 'application/pdf', bytes })
   */
  async add(file: NewAttachment): Promise<Attachment> {
    const { id: taskId, by, bytes } = file;
    const { name, mediaType } = this.#checked(file);
    const task = await this.#desk.get(taskId);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const id = derivedId('att', taskId, digest, name);
    const before = await this.list(taskId);
    const known = before.find((attachment) => attachment.id === id);
    if (known) return known;
    const { taskAttachmentsCountMax: limit } = this.#desk.dependencies.limits;
    if (before.length >= limit)
      throw new AiosError('tasks.attachments_full', {
        extensions: { limitName: 'taskAttachmentsCountMax', limit },
      });
    const at = this.#desk.now;
    const who = { id: by.id, name: by.name };
    const attachment = { id, taskId, name, mediaType, digest, sizeBytes: bytes.byteLength, at, by: who };
    const detail = { attachment: id, name, mediaType, digest, sizeBytes: bytes.byteLength };
    const writes: Write[] = [
      write(filesLane, { digest, bytes }),
      write(attachmentsLane, attachment),
      ...this.#desk.occurred(task, { kind: 'attached', by, detail }, at),
    ];
    await this.#desk.dependencies.commit.commit(writes);
    this.#desk.tell(task);
    return attachment;
  }

  /** Those of a task, oldest first. */
  async list(taskId: string): Promise<Attachment[]> {
    const rows = await this.#desk.dependencies.db.query<Stored>(
      `select ${COLUMNS} from task_attachments where task_id = $1 order by at, id`,
      [taskId],
    );
    return rows.map(fromStored);
  }

  /** @throws AiosError `tasks.unknown_attachment` */
  async read(taskId: string, id: string): Promise<Attachment & { bytes: Buffer }> {
    const [row] = await this.#desk.dependencies.db.query<Stored & { bytes: Buffer }>(
      `select ${COLUMNS}, bytes from task_attachments join task_files using (digest) where task_id = $1 and id = $2`,
      [taskId, id],
    );
    if (!row)
      throw new AiosError('tasks.unknown_attachment', { detail: `${taskId} has no attachment ${id}.` });
    return { ...fromStored(row), bytes: row.bytes };
  }

  #checked({ name, mediaType, bytes }: NewAttachment): { name: string; mediaType: string } {
    const { taskAttachmentBytesMax: limit } = this.#desk.dependencies.limits;
    if (bytes.byteLength > limit) {
      throw new AiosError('tasks.too_large', {
        detail: `The file has ${bytes.byteLength} bytes.`,
        extensions: { limitName: 'taskAttachmentBytesMax', limit },
      });
    }
    const type = mediaType.split(';')[0]!.trim().toLowerCase();
    if (!MEDIA_TYPES.has(type)) {
      throw new AiosError('tasks.media_type', {
        detail: `“${type}” is none of ${[...MEDIA_TYPES].join(', ')}.`,
      });
    }
    const shown = name.normalize('NFC').trim();
    if (
      shown === '' ||
      shown === '.' ||
      shown === '..' ||
      shown.length > NAME_CHARS_MAX ||
      UNSAFE.test(shown)
    ) {
      throw new AiosError('request.invalid', {
        issues: [
          {
            path: '/name',
            message: 'no name of a file',
            expected: `1 to ${NAME_CHARS_MAX} characters, none of them a slash or a control character`,
          },
        ],
      });
    }
    return { name: shown, mediaType: type };
  }
}

function fromStored({
  id,
  taskId,
  name,
  mediaType,
  digest,
  sizeBytes,
  at,
  byId,
  byName,
}: Stored): Attachment {
  return { id, taskId, name, mediaType, digest, sizeBytes, at, by: { id: byId, name: byName } };
}
