import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError } from '../kernel/errors.ts';
import { EXIT, print } from './output.ts';
import type { Action } from './program.ts';
import { openClient } from './session.ts';

interface Join {
  id: string;
  service: string;
  out: string;
  status: string;
  rows: number;
  total?: number;
  problem?: { title: string; detail: string; hint: string };
}

const POLL_MS = 500;

/** Joins a file of entities with the features of a service, in files of the server, and waits until that is done. */
export const joinFiles: Action = async (options) => {
  const { service, entities, out, timestamp, createdBefore } = options;
  for (const [name, value] of Object.entries({ service, entities, out }))
    if (value === undefined)
      throw new AiosError('request.invalid', { detail: `A join of files needs --${name}.` });
  const client = await openClient(options);
  let join = await client.request<Join>('POST', '/api/v1/features/joins', {
    body: {
      service: String(service),
      entities: String(entities),
      out: String(out),
      ...(timestamp === undefined ? {} : { timestamp: String(timestamp) }),
      ...(createdBefore === undefined ? {} : { createdBefore: String(createdBefore) }),
    },
  });
  while (options.wait !== false && join.status === 'running') {
    await sleep(POLL_MS);
    join = await client.request<Join>('GET', `/api/v1/features/joins/${join.id}`);
    if (!options.json && process.stderr.isTTY)
      process.stderr.write(`\r${join.rows} of ${join.total ?? '?'} rows`);
  }
  print(join, options.json, () => {
    const { problem } = join;
    const state = `${join.id}: ${join.status}, ${join.rows} rows, ${join.out}`;
    return problem ? [state, problem.detail || problem.title, problem.hint].join('\n') : state;
  });
  return join.status === 'failed' || join.status === 'canceled' ? EXIT.failed : EXIT.ok;
};
