import { AiosError } from '../kernel/errors.ts';
import { awaitPass } from './await-pass.ts';
import type { Action } from './command-row.ts';
import { EXIT, pastTime, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface Join {
  id: string;
  service: string;
  entities: string;
  out: string;
  status: string;
  rows: number;
  total?: number;
  requestedAt: string;
  problem?: { title: string; detail: string; hint: string };
}

const URL = '/api/v1/features/joins';

/** Joins a file of entities with the features of a service, in files of the server, and waits until that is done. */
export const joinFiles: Action = async (options) => {
  const { service, entities, out, timestamp, createdBefore } = options;
  for (const [name, value] of Object.entries({ service, entities, out }))
    if (value === undefined)
      throw new AiosError('request.invalid', { detail: `A join of files needs --${name}.` });
  const client = await openClient(options);
  let join = await client.request<Join>('POST', URL, {
    body: {
      service: String(service),
      entities: String(entities),
      out: String(out),
      ...(timestamp === undefined ? {} : { timestamp: String(timestamp) }),
      ...(createdBefore === undefined ? {} : { createdBefore: pastTime(String(createdBefore)) }),
    },
  });
  const { id } = join;
  const left = `${out} is still being made. See it with: aios features joins ${id}; end it with: aios features joins ${id} --cancel`;
  if (options.wait !== false)
    join = await awaitPass(client, `${URL}/${id}`, join, { left, isQuiet: options.json });
  const state = `${join.id}: ${join.status}, ${join.rows} rows, ${join.out}`;
  print(join, options.json, () => [state, ...reasonOf(join)].join('\n'));
  return join.status === 'failed' || join.status === 'canceled' ? EXIT.failed : EXIT.ok;
};

/** Lists historical joins of files, the newest first; with an id shows one, or ends it. */
export const joins: Action = async (options, [id]) => {
  const client = await openClient(options);
  if (id === undefined) {
    if (options.cancel)
      throw new AiosError('request.invalid', { detail: 'Name the join: aios features joins <id> --cancel.' });
    const answer = await client.request<{ items: Join[] }>('GET', URL);
    print(answer, options.json, () => describe(answer.items));
    return EXIT.ok;
  }
  const one = `${URL}/${encodeURIComponent(id)}`;
  const join = options.cancel
    ? await client.request<Join>('POST', `${one}/cancel`)
    : await client.request<Join>('GET', one);
  print(join, options.json, () => [describe([join]), ...reasonOf(join)].join('\n'));
  return EXIT.ok;
};

/** Why it failed, and what to do about it. */
function reasonOf({ problem }: Join): string[] {
  return problem ? [problem.detail || problem.title, problem.hint] : [];
}

function describe(items: readonly Join[]): string {
  return table(
    ['join', 'status', 'rows', 'of', 'service', 'entities', 'out', 'asked for'],
    items.map(({ id, status, rows, total, service, entities, out, requestedAt }) => [
      id,
      status,
      String(rows),
      total === undefined ? '' : String(total),
      service,
      entities,
      out,
      relativeTime(requestedAt),
    ]),
  );
}
