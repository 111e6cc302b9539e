import { readFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Action } from './command-row.ts';
import { EXIT, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface Finding {
  code: string;
  direction: string;
  path: string;
  message: string;
  hint: string;
  version?: string;
}

interface Assessment {
  mode: string;
  checkedAgainst: string[];
  isCompatible: boolean;
  findings: Finding[];
  change: string;
  suggestedVersion: string;
}

interface Release {
  version: string;
  createdAt: string;
  compatibility: string;
  deprecation?: { message: string; sunsetAt?: string };
  body: { owner: string; description?: string };
}

interface Use {
  kind: string;
  name: string;
  roles: string[];
  paths: string[];
}

interface Diff {
  from: string;
  to: string;
  changes: { path: string; before?: unknown; after?: unknown }[];
  findings: Finding[];
}

const DEFAULT_COMPATIBILITY = '/api/v1/contract-settings/compatibility';

/** Every contract with its newest version. */
export const list: Action = async (options) => {
  const client = await openClient(options);
  const { items } = await client.request<{
    items: { name: string; body: { version: string; owner: string; compatibility?: string } }[];
  }>('GET', '/api/v1/contracts');
  const byDefault = await client.request<{ compatibility: string }>('GET', DEFAULT_COMPATIBILITY);
  print({ items }, options.json, () =>
    table(
      ['type', 'version', 'compatibility', 'owner'],
      items.map(({ name, body }) => [
        name,
        body.version,
        body.compatibility ?? byDefault.compatibility,
        body.owner,
      ]),
    ),
  );
  return EXIT.ok;
};

/** The versions of a contract, and who uses its type. */
export const show: Action = async (options, [name]) => {
  const client = await openClient(options);
  const path = `/api/v1/contracts/${encodeURIComponent(name!)}`;
  const [{ items: releases }, { items: uses }] = await Promise.all([
    client.request<{ items: Release[] }>('GET', `${path}/releases`),
    client.request<{ items: Use[] }>('GET', `${path}/uses`),
  ]);
  print({ releases, uses }, options.json, () =>
    [
      table(
        ['version', 'since', 'compatibility', 'owner', 'deprecated'],
        releases.map(({ version, createdAt, compatibility, deprecation, body }) => [
          version,
          relativeTime(createdAt),
          compatibility,
          body.owner,
          deprecation ? [deprecation.message, deprecation.sunsetAt ?? ''].join(' ').trim() : '',
        ]),
      ),
      '',
      table(
        ['used by', 'name', 'as', 'at'],
        uses.map(({ kind, name: user, roles, paths }) => [kind, user, roles.join(', '), paths.join(', ')]),
      ),
    ].join('\n'),
  );
  return EXIT.ok;
};

/** How two versions differ. */
export const diff: Action = async (options, [name, from, to = 'latest']) => {
  const client = await openClient(options);
  const answer = await client.request<Diff>('GET', `/api/v1/contracts/${encodeURIComponent(name!)}/diff`, {
    query: { from, to },
  });
  print(answer, options.json, () => {
    const lines = answer.changes.flatMap(({ path, before, after }) => [
      ...(before === undefined ? [] : [`- ${path}: ${JSON.stringify(before)}`]),
      ...(after === undefined ? [] : [`+ ${path}: ${JSON.stringify(after)}`]),
    ]);
    return [`${answer.from} → ${answer.to}`, ...lines, ...answer.findings.flatMap(describe)].join('\n');
  });
  return EXIT.ok;
};

/** What a contract file would come to as the next version (exit code 1 when it breaks its promise). */
export const check: Action = async (options, [file]) => {
  const { name, schema, avro, compatibility, contentModel } = parse(
    await readFile(file!, 'utf8'),
  ) as JsonObject;
  const client = await openClient(options);
  const answer = await client.request<Assessment>(
    'POST',
    `/api/v1/contracts/${encodeURIComponent(String(name))}/compatibility`,
    {
      body: {
        ...(avro === undefined ? { schema: schema as Json } : { avro }),
        ...(compatibility === undefined ? {} : { compatibility }),
        ...(contentModel === undefined ? {} : { contentModel }),
        ...(options.against === undefined ? {} : { against: String(options.against) }),
      },
    },
  );
  print(answer, options.json, () => {
    const verdict = answer.isCompatible ? 'keeps' : 'breaks';
    const against = answer.checkedAgainst.join(', ') || 'nothing';
    return [
      `${String(name)} ${verdict} ${answer.mode}, checked against ${against}: a ${answer.change} change, as ${answer.suggestedVersion}.`,
      ...answer.findings.flatMap(describe),
    ].join('\n');
  });
  return answer.isCompatible ? EXIT.ok : EXIT.failed;
};

/** Deprecates a version, or takes that back. */
export const deprecate: Action = async (options, [name, version]) => {
  const client = await openClient(options);
  const path = `/api/v1/contracts/${encodeURIComponent(name!)}/releases/${encodeURIComponent(version!)}/deprecation`;
  const sunsetAt = options.sunset === undefined ? {} : { sunsetAt: String(options.sunset) };
  const release = options.undo
    ? await client.request<Release>('DELETE', path)
    : await client.request<Release>('PUT', path, { body: { message: String(options.message), ...sunsetAt } });
  print(release, options.json, () =>
    release.deprecation
      ? `${name} ${release.version} is deprecated: ${release.deprecation.message}`
      : `${name} ${release.version} is not deprecated.`,
  );
  return EXIT.ok;
};

/** The mode of contracts that name none; with a mode, changes it. */
export const defaultCompatibility: Action = async (options, [mode]) => {
  const client = await openClient(options);
  const answer =
    mode === undefined
      ? await client.request<{ compatibility: string }>('GET', DEFAULT_COMPATIBILITY)
      : await client.request<{ compatibility: string }>('PUT', DEFAULT_COMPATIBILITY, {
          body: { compatibility: mode.toUpperCase() },
        });
  print(answer, options.json, () => `Contracts that name no mode are held to ${answer.compatibility}.`);
  return EXIT.ok;
};

/** What the system takes and sends. */
export const asyncapi: Action = async (options) => {
  const client = await openClient(options);
  const document = await client.request<JsonObject>('GET', '/api/v1/asyncapi.json');
  print(document, options.json, () => stringify(document, { aliasDuplicateObjects: false }).trimEnd());
  return EXIT.ok;
};

function describe({ code, direction, path, message, hint, version }: Finding): string[] {
  return [
    `${direction} ${path || '/'}: ${message} (${code}${version ? `, against ${version}` : ''})`,
    `  ${hint}`,
  ];
}
