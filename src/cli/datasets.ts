import type { Action } from './command-row.ts';
import { countOf, EXIT, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface ColumnProfile {
  nulls: number;
  distinct: number;
  min?: number | string;
  max?: number | string;
  mean?: number;
  top?: [string, number][];
}

export interface Version {
  dataset: string;
  version: number;
  digest: string;
  sizeBytes: number;
  rows: number;
  columns: { name: string; type: string; role: string }[];
  profile: Record<string, ColumnProfile>;
  parts: Record<string, number> | null;
  models: { name: string; version: number }[];
  createdAt: string;
  createdBy: string;
  deletedAt?: string;
}

interface Dataset {
  name: string;
  definition: { description?: string; service?: string; views?: string[] };
  newest?: Version;
}

const TEXT_CHARS_MAX = 60;
const VALUE_CHARS_MAX = 24;

/** `aios datasets list` */
export const list: Action = async (options) => {
  const client = await openClient(options);
  const page = await client.request<{ items: Dataset[] }>('GET', '/api/v1/datasets');
  print(page, options.json, () =>
    table(
      ['dataset', 'of', 'newest', 'rows', 'made', 'description'],
      page.items.map(({ name, definition: { description = '', service, views = [] }, newest }) => [
        name,
        service ?? views.join(', '),
        newest ? String(newest.version) : '',
        newest ? newest.rows.toLocaleString('en') : '',
        relativeTime(newest?.createdAt),
        cut(description.split('\n')[0]!, TEXT_CHARS_MAX),
      ]),
    ),
  );
  return EXIT.ok;
};

/** `aios datasets show NAME` */
export const show: Action = async (options, [name]) => {
  const client = await openClient(options);
  const path = pathOf(name!);
  const { items: versions } = await client.request<{ items: Version[] }>('GET', `${path}/versions`);
  const wanted = versionOf(versions, String(options.ofVersion));
  const shown = versions.length > 0 ? wanted : undefined;
  const version = shown && (await client.request<Version>('GET', `${path}/versions/${shown}`));
  print(version ?? { versions: [] }, options.json, () =>
    [
      table(
        ['version', 'rows', 'bytes', 'made', 'by', 'models', ''],
        versions.map((each) => [
          String(each.version),
          each.rows.toLocaleString('en'),
          each.sizeBytes.toLocaleString('en'),
          relativeTime(each.createdAt),
          each.createdBy,
          each.models.map((model) => `${model.name} ${model.version}`).join(', '),
          each.deletedAt ? 'deleted' : '',
        ]),
      ),
      ...(version ? [describe(version)] : []),
    ].join('\n\n'),
  );
  return EXIT.ok;
};

/** `aios datasets delete NAME VERSION` */
export const remove: Action = async (options, [name, version]) => {
  const client = await openClient(options);
  const path = `${pathOf(name!)}/versions/${versionText('<version>', version)}`;
  const gone = await client.request<Version>('DELETE', path);
  print(gone, options.json, () => `The data of ${name} ${version} is deleted.`);
  return EXIT.ok;
};

/** A version as an option or an argument names it. @throws AiosError `request.invalid` */
export function versionText(name: string, text: unknown): string {
  return text === 'latest' ? text : String(countOf(name, text));
}

/** As much of a text as a list has room for. */
function cut(text: string, charsMax: number): string {
  return text.length > charsMax ? `${text.slice(0, charsMax - 1)}…` : text;
}

export function pathOf(name: string): string {
  return `/api/v1/datasets/${encodeURIComponent(name)}`;
}

function versionOf(versions: readonly Version[], wanted: string): number | undefined {
  if (wanted !== 'latest') return countOf('--of-version', wanted);
  return (versions.find(({ deletedAt }) => !deletedAt) ?? versions[0])?.version;
}

function describe({ version, rows, columns, profile, parts, digest }: Version): string {
  const split = Object.entries(parts ?? {}).map(([part, count]) => `${part} ${count.toLocaleString('en')}`);
  return [
    `Version ${version}, ${digest}${split.length > 0 ? `, ${split.join(', ')}` : ''}`,
    table(
      ['column', 'role', 'type', 'nulls', 'distinct', 'values'],
      columns.map(({ name, type, role }) => [
        name,
        role,
        type,
        `${short(((profile[name]?.nulls ?? 0) / rows) * 100)} %`,
        String(profile[name]?.distinct ?? ''),
        profile[name] ? valuesOf(profile[name]) : '',
      ]),
    ),
  ].join('\n');
}

function valuesOf({ min, max, mean, top = [] }: ColumnProfile): string {
  if (mean !== undefined) return `${short(min)} to ${short(max)}, mean ${short(mean)}`;
  if (min !== undefined) return `${min} to ${max}`;
  if (top.length > 0 && top.every(([, count]) => count === 1)) return 'none twice';
  return top
    .slice(0, 3)
    .map(([value, count]) => `${cut(value, VALUE_CHARS_MAX)} (${count})`)
    .join(', ');
}

function short(value: number | string | undefined): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(4))) : (value ?? '');
}
