import type { Json, JsonObject } from '../kernel/json.ts';
import type { Action } from './command-row.ts';
import { EXIT, print, relativeTime, table } from './output.ts';
import { readRows } from './rows.ts';
import { openClient } from './session.ts';

interface Profile {
  rows: number;
  features: Record<
    string,
    { kind: string; nullShare: number; distinct: number; mean?: number; stddev?: number; deciles?: number[] }
  >;
}

interface Saved {
  name: string;
  version: number;
  view?: string;
  service?: string;
  profile: Profile;
  createdAt: string;
  createdBy: string;
}

interface Finding {
  feature: string;
  check: string;
  expected: Json;
  found: Json;
  message: string;
}

/** Saves a profile when a source is named; shows what was saved. */
export const profile: Action = async (options, [name]) => {
  const client = await openClient(options);
  const path = `/api/v1/features/profiles/${encodeURIComponent(name!)}`;
  const source = await sourceOf(options);
  const saved =
    Object.keys(source).length === 0
      ? await client.request<Saved>('GET', path)
      : await client.request<Saved>('PUT', path, { body: source });
  print(saved, options.json, () =>
    [
      `${saved.name} ${saved.version} of ${saved.view ?? saved.service}, ${saved.profile.rows} rows, ${relativeTime(saved.createdAt)} by ${saved.createdBy}`,
      describe(saved.profile),
    ].join('\n'),
  );
  return EXIT.ok;
};

/** Holds features to a saved profile. */
export const validate: Action = async (options, [name]) => {
  const client = await openClient(options);
  const { thresholds } = options;
  const answer = await client.request<{
    rows: number;
    passed: boolean;
    version: number;
    findings: Finding[];
  }>('POST', `/api/v1/features/profiles/${encodeURIComponent(name!)}/validate`, {
    body: {
      ...(await sourceOf(options)),
      ...(thresholds === undefined ? {} : { thresholds: JSON.parse(String(thresholds)) as JsonObject }),
    },
  });
  print(answer, options.json, () =>
    answer.passed
      ? `${answer.rows} rows lie as version ${answer.version} of ${name} says.`
      : answer.findings.map(({ check, message }) => `${check}: ${message}`).join('\n'),
  );
  return answer.passed ? EXIT.ok : EXIT.failed;
};

async function sourceOf({ view, service, spine }: { [option: string]: unknown }): Promise<JsonObject> {
  return {
    ...(view === undefined ? {} : { view: String(view) }),
    ...(service === undefined ? {} : { service: String(service) }),
    ...(spine === undefined ? {} : { spine: await readRows(String(spine)) }),
  };
}

function describe({ features }: Profile): string {
  const number = (value: number | undefined) =>
    value === undefined ? '' : String(Number(value.toPrecision(4)));
  return table(
    ['feature', 'kind', 'nulls', 'distinct', 'mean', 'stddev', 'median'],
    Object.entries(features).map(([name, { kind, nullShare, distinct, mean, stddev, deciles }]) => [
      name,
      kind,
      `${number(nullShare * 100)} %`,
      String(distinct),
      number(mean),
      number(stddev),
      number(deciles?.[5]),
    ]),
  );
}
