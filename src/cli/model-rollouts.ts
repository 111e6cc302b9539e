import { readFile } from 'node:fs/promises';
import type { AiosClient } from '../client/client.ts';
import { parseDuration } from '../kernel/duration.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Action } from './command-row.ts';
import { requireKnown } from './known-names.ts';
import { activeRollout, describeRollout, type Rollout, reasonOf } from './models.ts';
import { EXIT, numberOf, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface SideFigures {
  requests: number;
  errorRate: number | null;
  p50Ms: number | null;
  p95Ms: number | null;
}

interface Report extends Rollout {
  figures: {
    champion: SideFigures;
    challenger: SideFigures;
    comparison: { compared: number; agreement: number | null; differenceMean: number | null };
  };
  test?: { difference: number | null; interval: [number, number] | null; pValue: number };
}

const ACTIONS = ['start', 'step', 'pause', 'resume', 'promote'];

type Options = Parameters<Action>[0];

/** `aios models rollout NAME [start|step|pause|resume|promote]`; without an action what is known of it. */
export const rollout: Action = async (options, [name, action]) => {
  const client = await openClient(options);
  const path = `/api/v1/models/${encodeURIComponent(name!)}/rollouts`;
  const alias = options.alias as string;
  if (action === 'start') {
    const body = await planOf(options, alias);
    return shown(await client.request<Rollout>('POST', path, { body }), options);
  }
  if (action !== undefined && !ACTIONS.includes(action))
    throw new AiosError('request.invalid', {
      detail: `“${action}” is not an action: ${ACTIONS.join(', ')}; aios models rollback ends it.`,
    });
  const active = await activeRollout(client, name!, alias);
  if (!active) await requireKnown(client, 'model', name);
  if (!active)
    throw new AiosError('models.no_rollout', { detail: `${alias} of ${name} has no active rollout.` });
  const own = `${path}/${active.id}`;
  switch (action) {
    case undefined:
      return reported(client, own, options);
    case 'step': {
      const { percent } = options as { percent?: string };
      const body =
        percent === undefined ? { step: active.step + 1 } : { percent: numberOf('--percent', percent) };
      return shown(await client.request<Rollout>('POST', `${own}/step`, { body }), options);
    }
    case 'pause':
    case 'resume':
      return shown(await client.request<Rollout>('POST', `${own}/${action}`), options);
    default: // promote
      return shown(
        await client.request<Rollout>('POST', `${own}/promote`, { body: reasonOf(options) }),
        options,
      );
  }
};

function shown(changed: Rollout, { json }: Options): number {
  print(changed, json, () => describeRollout(changed));
  return EXIT.ok;
}

async function reported(client: AiosClient, path: string, { json }: Options): Promise<number> {
  const report = await client.request<Report>('GET', path);
  print(report, json, () => describeReport(report));
  return EXIT.ok;
}

async function planOf(options: Options, alias: string): Promise<JsonObject> {
  const { plan, challenger, kind, percent, steps, compare } = options as Record<string, string | undefined>;
  const given = plan === undefined ? {} : await readJson(plan);
  return {
    alias,
    kind: kind!,
    ...(challenger === undefined ? {} : { challenger: numberOf('--challenger', challenger) }),
    ...(percent === undefined ? {} : { percent: numberOf('--percent', percent) }),
    ...(steps === undefined ? {} : { steps: steps.split(',').map(stepOf) }),
    ...(options.thenPromote === true ? { thenPromote: true } : {}),
    ...(options.force === true ? { force: true } : {}),
    ...(compare === undefined ? {} : { comparison: { share: numberOf('--compare', compare) } }),
    ...given,
  };
}

/** `25:1h` or, until somebody goes on, `25`. */
function stepOf(text: string): Json {
  const [percent, wait] = text.split(':');
  const share = numberOf('--steps', percent);
  if (wait === undefined) return { percent: share };
  return { percent: share, waitSeconds: Math.round(parseDuration(wait) / 1000) };
}

async function readJson(text: string): Promise<JsonObject> {
  const source = text.startsWith('@') ? await readFile(text.slice(1), 'utf8') : text;
  try {
    return JSON.parse(source) as JsonObject;
  } catch (error) {
    throw new AiosError('request.malformed', { detail: `--plan: ${(error as Error).message}` });
  }
}

function describeReport(report: Report): string {
  const { figures, test, champion, challenger, startedAt } = report;
  const rows = [
    [`champion ${champion}`, figures.champion],
    [`challenger ${challenger}`, figures.challenger],
  ] as const;
  const { compared, agreement, differenceMean } = figures.comparison;
  const lines = [
    describeRollout(report),
    `started ${relativeTime(startedAt)}`,
    table(
      ['version', 'requests', 'errors', 'p50', 'p95'],
      rows.map(([side, { requests, errorRate, p50Ms, p95Ms }]) => [
        side,
        String(requests),
        errorRate === null ? '' : `${(errorRate * 100).toFixed(2)} %`,
        ms(p50Ms),
        ms(p95Ms),
      ]),
    ),
  ];
  if (agreement !== null)
    lines.push(
      `agree on ${(agreement * 100).toFixed(1)} % of ${compared} rows${differenceMean === null ? '' : `, mean difference ${differenceMean.toPrecision(3)}`}`,
    );
  if (test?.interval)
    lines.push(
      `difference ${test.difference!.toPrecision(3)}, in ${test.interval.map((each) => each.toPrecision(3)).join(' to ')}, p ≤ ${test.pValue.toPrecision(2)}`,
    );
  return lines.join('\n');
}

function ms(value: number | null): string {
  return value === null ? '' : `${value.toFixed(1)} ms`;
}
