import { openAsBlob } from 'node:fs';
import { extname } from 'node:path';
import { ProblemError } from '../client/client.ts';
import type { Problem } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { awaitPass } from './await-pass.ts';
import type { Action } from './command-row.ts';
import { pathOf, type Version } from './datasets.ts';
import { requireKnown } from './known-names.ts';
import { EXIT, pastTime, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface Build {
  id: string;
  dataset: string;
  status: string;
  rows: number;
  total?: number;
  version?: number;
  requestedBy: string;
  requestedAt: string;
  problem?: Problem;
  made?: Version;
}

const BUILDS = '/api/v1/dataset-builds';
const TYPES: Readonly<Record<string, string>> = {
  csv: 'text/csv',
  jsonl: 'application/x-ndjson',
  parquet: 'application/vnd.apache.parquet',
};
/** A small version is there by then, in one request. */
const WAIT = '1s';

/** `aios datasets create NAME` */
export const create: Action = async (options, [name]) => {
  const client = await openClient(options);
  const times = timesOf(options);
  const path = `${pathOf(name!)}/versions`;
  const file = options.file === undefined ? undefined : String(options.file);
  const wait = options.wait === false ? undefined : WAIT;
  let build: Build;
  if (file === undefined) build = await client.request<Build>('POST', path, { query: { wait }, body: times });
  else {
    const format = extname(file).slice(1).toLowerCase();
    const type = TYPES[format];
    if (!type) {
      process.stderr.write(`The name of ${file} ends in none of .csv, .jsonl and .parquet.\n`);
      return EXIT.usage;
    }
    build = await client.request<Build>('POST', `${path}/upload`, {
      query: { format, wait, ...(times as Record<string, string>) },
      body: await openAsBlob(file, { type }),
    });
  }
  const { id } = build;
  const left = `${name} is still being made. See it with: aios datasets builds ${name}; end it with: aios datasets cancel ${id}`;
  if (wait !== undefined)
    build = await awaitPass(client, `${BUILDS}/${id}`, build, { left, isQuiet: options.json });
  if (build.problem) throw new ProblemError(build.problem);
  print(build.made ?? build, options.json, () => {
    const { made } = build;
    return made
      ? `${name} ${made.version}: ${made.rows.toLocaleString('en')} rows, ${made.digest}`
      : `${id}: ${build.status}`;
  });
  return build.status === 'canceled' ? EXIT.failed : EXIT.ok;
};

/** `aios datasets builds [NAME]` */
export const builds: Action = async (options, [dataset]) => {
  const client = await openClient(options);
  const page = await client.request<{ items: Build[] }>('GET', BUILDS, { query: { dataset } });
  if (page.items.length === 0) await requireKnown(client, 'dataset', dataset);
  print(page, options.json, () =>
    table(
      ['build', 'dataset', 'status', 'rows', 'version', 'asked for', 'by', ''],
      page.items.map(({ id, dataset, status, rows, total, version, requestedAt, requestedBy, problem }) => [
        id,
        dataset,
        status,
        rows.toLocaleString('en') +
          (status === 'running' && total !== undefined ? ` of ${total.toLocaleString('en')}` : ''),
        version === undefined ? '' : String(version),
        relativeTime(requestedAt),
        requestedBy,
        problem ? problem.detail || problem.title : '',
      ]),
    ),
  );
  return EXIT.ok;
};

/** `aios datasets cancel BUILD` */
export const cancel: Action = async (options, [id]) => {
  const client = await openClient(options);
  const build = await client.request<Build>('POST', `${BUILDS}/${encodeURIComponent(id!)}/cancel`);
  print(build, options.json, () => `${id}: ${build.status}; no version of ${build.dataset} comes of it.`);
  return EXIT.ok;
};

function timesOf({ from, to, createdBefore }: { [option: string]: unknown }): JsonObject {
  return Object.fromEntries(
    Object.entries({ from, to, createdBefore }).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, pastTime(String(value))]],
    ),
  );
}
