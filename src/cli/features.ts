import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError } from '../kernel/errors.ts';
import { strictJson } from '../kernel/exact-integers.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Action } from './command-row.ts';
import { EXIT, pastTime, print, relativeTime, table } from './output.ts';
import { readRows } from './rows.ts';
import { openClient } from './session.ts';

interface View {
  name: string;
  version: number;
  kind: string;
  entity?: string;
  status: string;
  owner?: string;
  description?: string;
  features: { name: string; type: string; description?: string; owner?: string }[];
  newest?: string;
  lateEvents: number;
  services: string[];
  served: { version: number; status: string; inForce: boolean; heldBy: string[] }[];
}

interface Service {
  name: string;
  version: number;
  joinKeys: string[];
  request: Record<string, string>;
  features: string[];
}

interface Vectors {
  names: string[];
  rows: Json[][];
}

interface Pass {
  id: string;
  view: string;
  mode: string;
  status: string;
  entities: number;
  total?: number;
  removed: number;
  problem?: { title: string; detail: string; hint: string };
}

const PASS_POLL_MS = 500;

/** Every feature view with its kind and how fresh it is. */
export const list: Action = async (options) => {
  const client = await openClient(options);
  const { items } = await client.request<{ items: View[] }>('GET', '/api/v1/features/views');
  print({ items }, options.json, () =>
    table(
      ['view', 'kind', 'entity', 'version', 'state', 'newest', 'features'],
      items.map(({ name, kind, entity = '', version, status, newest, features }) => [
        name,
        kind,
        entity,
        String(version),
        status,
        relativeTime(newest),
        String(features.length),
      ]),
    ),
  );
  return EXIT.ok;
};

/** Every feature service: what a request for it names, and what it answers. */
export const services: Action = async (options) => {
  const client = await openClient(options);
  const { items } = await client.request<{ items: Service[] }>('GET', '/api/v1/features/services');
  print({ items }, options.json, () =>
    table(
      ['service', 'version', 'keys', 'request', 'features'],
      items.map(({ name, version, joinKeys, request, features }) => [
        name,
        String(version),
        joinKeys.join(', '),
        Object.keys(request).join(', '),
        features.join(', '),
      ]),
    ),
  );
  return EXIT.ok;
};

/** One view with its features. */
export const show: Action = async (options, [name]) => {
  const client = await openClient(options);
  const view = await client.request<View>('GET', `/api/v1/features/views/${encodeURIComponent(name!)}`);
  print(view, options.json, () =>
    [
      `${view.name} ${view.version} (${[view.kind, view.status].join(', ')})${view.description ? `: ${view.description}` : ''}`,
      `entity ${view.entity ?? 'none'}, owner ${view.owner ?? 'none'}, newest ${relativeTime(view.newest) || 'none'}, late ${view.lateEvents}`,
      `services ${view.services.join(', ') || 'none'}`,
      ...versionsOf(view),
      '',
      table(
        ['feature', 'type', 'description'],
        view.features.map(({ name, type, description = '' }) => [name, type, description]),
      ),
    ].join('\n'),
  );
  return EXIT.ok;
};

/** Where more than one version is served, or the newest is not yet: who gets which. */
function versionsOf({ name, served }: View): string[] {
  if (served.length === 1 && served[0]!.heldBy.length === 0 && served[0]!.status === 'ready') return [];
  return served.map(({ version, status, inForce, heldBy }) => {
    const told = [inForce ? 'in force' : '', status === 'ready' ? '' : status, heldBy.join(', ')];
    const next = status === 'not-materialized' ? `: aios features materialize ${name}` : '';
    return `version ${version} ${told.filter(Boolean).join(', ')}${next}`;
  });
}

/** The features of an entity now, or of a list of them. */
export const online: Action = async (options, [service, ...keys]) => {
  const client = await openClient(options);
  const entities = entitiesOf(keys);
  const { asOf, request, fullFeatureNames } = options;
  const vectors = await client.request<Vectors>('POST', '/api/v1/features/online', {
    body: {
      service: service!,
      entities,
      ...(asOf === undefined ? {} : { asOf: pastTime(String(asOf)) }),
      ...(request === undefined ? {} : { request: objectOf('--request', String(request)) }),
      ...(fullFeatureNames === true ? { fullFeatureNames } : {}),
    },
  });
  print(vectors, options.json, () => describe(vectors));
  return EXIT.ok;
};

/** The features of many entities at times in the past; files of the server where they are named by options. */
export const historical: Action = async (options, [service, file], host) => {
  if (file === undefined) {
    const { joinFiles } = await import('./feature-joins.ts');
    return joinFiles(service === undefined ? options : { service, ...options }, [], host);
  }
  const client = await openClient(options);
  const { createdBefore, fullFeatureNames } = options;
  const vectors = await client.request<Vectors>('POST', '/api/v1/features/historical', {
    body: {
      service: service!,
      spine: await readRows(file!),
      ...(createdBefore === undefined ? {} : { createdBefore: pastTime(String(createdBefore)) }),
      ...(fullFeatureNames === true ? { fullFeatureNames } : {}),
    },
  });
  print(vectors, options.json, () => describe(vectors));
  return EXIT.ok;
};

/** Sends rows to the views of a push source. */
export const push: Action = async (options, [source, file]) => {
  const client = await openClient(options);
  const told = await client.request<{ views: string[]; rows: number }>('POST', '/api/v1/features/push', {
    body: { source: source!, rows: await readRows(file!) },
  });
  print(told, options.json, () => `${told.rows} rows for ${told.views.join(', ')}`);
  return EXIT.ok;
};

/** Brings the newest rows of a batch view online. */
export const materialize: Action = async (options, [view]) => {
  const client = await openClient(options);
  let pass = await client.request<Pass>(
    'POST',
    `/api/v1/feature-views/${encodeURIComponent(view!)}/materialize`,
    { body: { mode: options.full ? 'full' : 'incremental' } },
  );
  while (options.wait !== false && pass.status === 'running') {
    await sleep(PASS_POLL_MS);
    pass = await client.request<Pass>('GET', `/api/v1/features/materializations/${pass.id}`);
    if (!options.json && process.stderr.isTTY)
      process.stderr.write(`\r${pass.entities} of ${pass.total ?? '?'} entities`);
  }
  print(pass, options.json, () => {
    const { problem, removed } = pass;
    const gone = removed === 0 ? '' : `, ${removed} that are gone from the source`;
    const state = `${pass.id}: ${pass.mode}, ${pass.status}, ${pass.entities} entities${gone}`;
    return problem ? [state, problem.detail || problem.title, problem.hint].join('\n') : state;
  });
  return pass.status === 'failed' ? EXIT.failed : EXIT.ok;
};

/** Builds a range of event times of a stream view from the log anew. */
export const backfill: Action = async (options, [view]) => {
  if (options.from === undefined) throw invalid('Say where the range begins: --from.');
  const client = await openClient(options);
  const range = await client.request<{ view: string; from: string; to: string }>(
    'POST',
    `/api/v1/feature-views/${encodeURIComponent(view!)}/backfill`,
    {
      body: {
        from: pastTime(String(options.from)),
        to: options.to === undefined ? new Date().toISOString() : pastTime(String(options.to)),
        includeLate: options.includeLate === true,
      },
    },
  );
  print(range, options.json, () => `${range.view} is being built from ${range.from} to ${range.to}`);
  return EXIT.ok;
};

function describe({ names, rows }: Vectors): string {
  if (rows.length === 1)
    return table(
      ['feature', 'value'],
      names.map((name, index) => [name, JSON.stringify(rows[0]![index] ?? null)]),
    );
  return table(
    names,
    rows.map((row) => row.map((value) => JSON.stringify(value))),
  );
}

/** `customer=c-1 product=p-2` names one entity; a JSON list names many. */
function entitiesOf(keys: readonly string[]): JsonObject[] {
  const [first = ''] = keys;
  if (/^[[{]/.test(first.trim())) {
    const parsed = jsonOf('keys', keys.join(' '));
    return (Array.isArray(parsed) ? parsed : [parsed]) as JsonObject[];
  }
  const pairs = keys.map((pair): [string, string] => {
    const at = pair.indexOf('=');
    if (at < 1) throw invalid(`“${pair}” is not key=value`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return [Object.fromEntries(pairs)];
}

function objectOf(name: string, text: string): JsonObject {
  const parsed = jsonOf(name, text);
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed))
    throw invalid(`${name} is not an object`);
  return parsed;
}

function jsonOf(name: string, text: string): Json {
  try {
    return strictJson(text);
  } catch (error) {
    throw invalid(`${name}: ${(error as Error).message}`);
  }
}

function invalid(detail: string): AiosError {
  return new AiosError('request.invalid', { detail });
}
