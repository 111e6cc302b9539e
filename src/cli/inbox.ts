import type { Json, JsonObject } from '../kernel/json.ts';
import { EXIT, print, relativeTime, table } from './output.ts';
import type { Action } from './program.ts';
import { readJson } from './runs.ts';
import { openClient } from './session.ts';

interface Task {
  id: string;
  queue: string;
  title: string;
  status: string;
  createdAt: string;
  dueAt?: string;
  deadlineAt?: string;
  claimedBy?: string;
  context: JsonObject;
  contextDigest: string;
  suggestion?: Json;
}

/** Lists open tasks; with an id shows one, claims it, or completes it with an answer to exactly what was shown. */
export const inbox: Action = async (options, [id]) => {
  const client = await openClient(options);
  const { queue, complete } = options as Record<string, string | undefined>;
  if (!id) {
    const page = await client.request<{ items: Task[] }>('GET', '/api/v1/tasks', {
      query: { queue, status: 'open' },
    });
    print(page, options.json, () =>
      table(
        ['task', 'queue', 'title', 'waits since', 'due'],
        page.items.map((task) => [
          task.id,
          task.queue,
          task.title,
          relativeTime(task.createdAt),
          relativeTime(task.dueAt ?? task.deadlineAt),
        ]),
      ),
    );
    return EXIT.ok;
  }
  let task = await client.request<Task>('GET', `/api/v1/tasks/${id}`);
  if (options.claim || complete) {
    if (task.status === 'open')
      task = await client.request<Task>('POST', `/api/v1/tasks/${id}/claim`, { body: {} });
  }
  if (complete) {
    const body = { result: await readJson(complete), contextDigest: task.contextDigest };
    task = await client.request<Task>('POST', `/api/v1/tasks/${id}/complete`, { body });
  }
  print(task, options.json, () => {
    const shown = Object.entries(task.context).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]);
    return `${task.title}  (${task.status}${task.claimedBy ? ` by ${task.claimedBy}` : ''})\n${table(['what is known', ''], shown)}`;
  });
  return EXIT.ok;
};
