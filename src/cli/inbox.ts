import { readFile, writeFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import type { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Action } from './command-row.ts';
import { requireKnown } from './known-names.ts';
import { listText, readList } from './listing.ts';
import { EXIT, numberOf, print, relativeTime, table, timeOf } from './output.ts';
import { readJson } from './runs.ts';
import { openClient } from './session.ts';
import { type ToldTask, taskText } from './task-text.ts';

interface Task extends ToldTask {
  queue: string;
  priority: number;
  createdAt: string;
  dueAt?: string;
  deadlineAt?: string;
  contextDigest: string;
}

interface Entry {
  kind: string;
  at: string;
  by?: string;
  detail: JsonObject;
}

type Act = (client: AiosClient, task: Task, value: string) => Promise<unknown>;

const act = async (client: AiosClient, task: Task, what: string, body: JsonObject, method = 'POST') =>
  client.request(method, `/api/v1/tasks/${task.id}/${what}`, { body });

/** What an option does to the task, in the order in which several are done. */
const ACTS: readonly [option: string, act: Act][] = [
  ['claim', (client, task) => act(client, task, 'claim', {})],
  [
    'assign',
    async (client, task, who) => act(client, task, 'assign', { to: await personOf(client, task, who) }),
  ],
  [
    'priority',
    (client, task, priority) =>
      act(client, task, 'priority', { priority: numberOf('--priority', priority) }, 'PUT'),
  ],
  ['attach', async (client, task, file) => act(client, task, 'attachments', await attachmentOf(file))],
  ['comment', (client, task, text) => act(client, task, 'comments', { text })],
  [
    'delegate',
    async (client, task, who) => act(client, task, 'delegate', { to: await personOf(client, task, who) }),
  ],
  ['handBack', (client, task) => act(client, task, 'hand-back', {})],
  ['followUp', (client, task, when) => act(client, task, 'follow-up', { at: whenOf(when) }, 'PUT')],
  ['release', (client, task) => act(client, task, 'release', {})],
  [
    'return',
    (client, task, message) => act(client, task, 'return', { message, contextDigest: task.contextDigest }),
  ],
  [
    'complete',
    async (client, task, answer) => {
      const body = { result: await readJson(answer), contextDigest: task.contextDigest };
      return act(client, task, 'complete', body);
    },
  ],
];

/** Lists what waits for the caller; with an id shows one, and does to it what the options say. */
export const inbox: Action = async (options, [id]) => {
  const client = await openClient(options);
  const given = options as Record<string, string | undefined>;
  const without = id
    ? undefined
    : [...ACTS.map(([option]) => option), 'history', 'save'].find((one) => given[one] !== undefined);
  if (without !== undefined)
    throw new AiosError('request.invalid', {
      detail: `Name the task: aios inbox TASK --${without.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.`,
    });
  if (!id) return await list(client, options);
  const path = `/api/v1/tasks/${encodeURIComponent(id)}`;
  const shown = await client.request<Task>('GET', path);
  await client.request('POST', `${path}/seen`);
  for (const [option, perform] of ACTS)
    if (given[option] !== undefined) await perform(client, shown, given[option]);
  if (given.save) await save(client, id, given.save, given.to);
  const task = await client.request<Task>('GET', path);
  const history = options.history
    ? await client.request<{ items: Entry[] }>('GET', `${path}/history`)
    : undefined;
  print(
    history ? { ...task, history: history.items } : task,
    options.json,
    () => taskText(task) + (history ? `\n${describeHistory(history.items)}` : ''),
  );
  return EXIT.ok;
};

async function list(client: AiosClient, options: Parameters<Action>[0]) {
  const queue = options.queue as string | undefined;
  const query = { queue, status: 'waiting', ...(options.all === true ? {} : { forMe: true }) };
  const page = await readList<{ items: Task[] }>(client, '/api/v1/tasks', query, options.limit);
  if (page.items.length === 0) await requireKnown(client, 'queue', queue);
  print(page, options.json, () =>
    listText(
      page,
      table(
        ['task', 'queue', 'title', 'due', 'priority', 'waits since', 'with'],
        page.items.map((task) => [
          task.id,
          task.queue,
          task.title,
          relativeTime(task.dueAt ?? task.deadlineAt),
          String(task.priority),
          relativeTime(task.createdAt),
          task.claimedBy ?? '',
        ]),
      ),
      '--queue',
    ),
  );
  return EXIT.ok;
}

/** The id of a candidate, from an id or a name that only one of them has. */
async function personOf(client: AiosClient, task: Task, who: string): Promise<string> {
  const { items } = await client.request<{ items: { id: string; name: string }[] }>(
    'GET',
    `/api/v1/tasks/${task.id}/candidates`,
  );
  const found = items.filter(({ id, name }) => id === who || name.toLowerCase() === who.toLowerCase());
  if (found.length === 1) return found[0]!.id;
  throw new AiosError('tasks.unknown_person', {
    detail: `“${who}” is ${found.length === 0 ? 'none' : 'several'} of ${items.map(({ name }) => name).join(', ') || 'nobody'}.`,
  });
}

/** A duration from now, a date and time, or `none`. */
function whenOf(text: string): string | null {
  return text === 'none' ? null : timeOf(text);
}

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.csv': 'text/csv',
  '.eml': 'message/rfc822',
  '.gif': 'image/gif',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.json': 'application/json',
  '.md': 'text/markdown',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.txt': 'text/plain',
  '.webp': 'image/webp',
  '.zip': 'application/zip',
};

async function attachmentOf(file: string): Promise<JsonObject> {
  // What is unknown here is refused there, with the types that are taken.
  const mediaType = MEDIA_TYPES[extname(file).toLowerCase()] ?? 'application/octet-stream';
  return { name: basename(file), mediaType, contentBase64: (await readFile(file)).toString('base64') };
}

/** Writes an attachment to a file, or into the current folder under its own name; a file that is there stays. */
async function save(client: AiosClient, taskId: string, name: string, to: string | undefined): Promise<void> {
  const path = `/api/v1/tasks/${encodeURIComponent(taskId)}/attachments`;
  const { items } = await client.request<{ items: { id: string; name: string }[] }>('GET', path);
  const found = items.find((item) => item.id === name || item.name === name);
  if (!found)
    throw new AiosError('tasks.unknown_attachment', {
      detail: `It has ${items.map((item) => item.name).join(', ') || 'no attachment'}.`,
    });
  await writeFile(to ?? basename(found.name), await client.bytes(`${path}/${found.id}`), { flag: 'wx' });
}

function describeHistory(entries: readonly Entry[]): string {
  const rows = entries.map(({ kind, at, by, detail }) => [
    relativeTime(at),
    by ?? 'AIOS',
    kind,
    Object.entries(detail)
      .filter(([name]) => !/id$|digest/i.test(name))
      .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join(', '),
  ]);
  return `\n${table(['when', 'who', 'what', ''], rows)}`;
}
