import type { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import type { Action } from './command-row.ts';
import { EXIT, pastTime, print } from './output.ts';
import { describeRun, type Run, readJson, requireSelected, selection } from './runs.ts';
import { openClient } from './session.ts';

type Options = { readonly [option: string]: unknown };

interface Bulk {
  id: string;
  action: string;
  status: string;
  count: number;
  token: string;
  done: number;
  skipped: { [code: string]: number };
}

/** How often a bulk operation is asked how far it has come. */
const POLL_MS = 500;

/** An action on the run that is named, or on all that a filter names. */
const acting =
  (action: string): Action =>
  async (options, [id]) => {
    const client = await openClient(options);
    if (id === undefined) return onMany(client, action, options);
    if (action === 'delete') {
      await client.request('DELETE', `/api/v1/runs/${encodeURIComponent(id!)}`, {});
      print({ id, deleted: true }, options.json, () => `${id} is deleted`);
      return EXIT.ok;
    }
    const body = action === 'retry' ? await back(options) : {};
    const run = await client.request<Run>('POST', `/api/v1/runs/${encodeURIComponent(id!)}/${action}`, {
      body,
    });
    print(run, options.json, () => describeRun(run));
    return EXIT.ok;
  };

export const cancel = acting('cancel');
export const pause = acting('pause');
export const resume = acting('resume');
export const retry = acting('retry');
const remove = acting('delete');

export { remove as delete };

export const fork: Action = async (options, [id]) => {
  const client = await openClient(options);
  const run = await client.request<Run>('POST', `/api/v1/runs/${encodeURIComponent(id!)}/fork`, {
    body: await back(options),
  });
  print(run, options.json, () => describeRun(run));
  return EXIT.ok;
};

export const signal: Action = async (options, [id]) => {
  if (typeof options.step !== 'string')
    throw new AiosError('request.invalid', {
      detail: `Name the step with --step: aios runs ${id} shows it.`,
    });
  const payload = typeof options.payload === 'string' ? await readJson(options.payload) : null;
  const client = await openClient(options);
  const body = { name: options.step, payload };
  const run = await client.request<Run>('POST', `/api/v1/runs/${encodeURIComponent(id!)}/signal`, { body });
  print(run, options.json, () => describeRun(run));
  return EXIT.ok;
};

async function back({ step, fromStart, input }: Options): Promise<{ [name: string]: Json }> {
  return {
    ...(typeof step === 'string' ? { step } : {}),
    ...(fromStart ? { fromStart: true } : {}),
    ...(typeof input === 'string' ? { input: await readJson(input) } : {}),
  };
}

/** Counts, and with `--yes` does it to exactly those; exit code 2 when it only counted. */
async function onMany(
  client: AiosClient,
  action: string,
  options: Options & { json: boolean },
): Promise<number> {
  const filter = filterOf(options);
  if (Object.keys(filter).length === 0)
    throw new AiosError('request.invalid', {
      detail: 'Name a run, or a filter such as --workflow or --status.',
    });
  const body = { action, filter, ...(action === 'retry' ? await back(options) : {}) };
  const prepared = await client.request<Bulk>('POST', '/api/v1/bulk-operations', { body });
  if (prepared.count === 0) await requireSelected(client, options);
  if (!options.yes) {
    print(prepared, options.json, () => `${prepared.count} runs fit. With --yes: ${action} them.`);
    return EXIT.changes;
  }
  const { id, token } = prepared;
  let now = await client.request<Bulk>('POST', `/api/v1/bulk-operations/${id}/start`, { body: { token } });
  while (now.status !== 'completed') {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    now = await client.request<Bulk>('GET', `/api/v1/bulk-operations/${id}`);
    if (!options.json) process.stderr.write(`${describeBulk(now)}\n`);
  }
  print(now, options.json, () => describeBulk(now));
  return EXIT.ok;
}

function filterOf(options: Options): { [name: string]: Json } {
  const { from, to } = options as { from?: string; to?: string };
  const given = Object.entries({ ...selection(options), from: pastTime(from), to: pastTime(to) });
  const named = given.filter((entry): entry is [string, string] => entry[1] !== undefined);
  const attributes = named.filter(([name]) => name.startsWith('attr.'));
  const others = named.filter(([name]) => !name.startsWith('attr.'));
  return {
    ...Object.fromEntries(others.map(([name, value]) => [name, name === 'version' ? Number(value) : value])),
    ...(attributes.length > 0
      ? {
          attributes: Object.fromEntries(
            attributes.map(([name, value]) => [name.slice('attr.'.length), value]),
          ),
        }
      : {}),
  };
}

function describeBulk({ id, action, status, count, done, skipped }: Bulk): string {
  const left = Object.entries(skipped).map(([code, runs]) => `${runs} ${code}`);
  return `${id}  ${action}  ${status}  ${done} of ${count} done${left.length > 0 ? `, not ${left.join(', ')}` : ''}`;
}
