import type { AiosClient } from '../client/client.ts';
import { describeIssue, type Issue } from '../kernel/errors.ts';
import type { Action } from './command-row.ts';
import { EXIT, numberOf, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface Serving {
  requests: number;
  errors: number;
  p95Ms: number;
}

interface Model {
  name: string;
  aliases: Record<string, number>;
  versions: {
    version: number;
    createdAt: string;
    createdBy: string;
    serving: Serving | null;
    datasets: { name: string; version: number }[];
  }[];
  serving: Serving | null;
  warnings?: Issue[];
}

export interface Rollout {
  id: string;
  alias: string;
  champion: number;
  challenger: number;
  status: string;
  percent: number;
  step: number;
  plan: { kind: string; steps: { percent: number; waitSeconds?: number }[] };
  startedAt: string;
  endedAt?: string;
  reason?: string;
}

interface Standing {
  alias: string;
  version: number;
  approvalsNeeded: number;
  approvalsMissing: number;
  of?: string[];
  approvals: { name: string; decision: string; reason?: string }[];
  misfits: Issue[];
}

interface Outcome {
  promoted: boolean;
  waitsFor?: Standing;
  warnings?: Issue[];
}

/** `aios models list` */
export const list: Action = async (options) => {
  const client = await openClient(options);
  const page = await client.request<{ items: Model[] }>('GET', '/api/v1/models');
  print(page, options.json, () =>
    table(
      ['model', 'serves', 'versions', 'requests', 'errors', 'p95'],
      page.items.map(({ name, aliases, versions, serving }) => [
        name,
        describeAliases(aliases),
        String(versions.length),
        String(serving?.requests ?? 0),
        String(serving?.errors ?? 0),
        serving ? `${serving.p95Ms.toFixed(1)} ms` : '',
      ]),
    ),
  );
  return EXIT.ok;
};

/** `aios models show NAME` */
export const show: Action = async (options, [name]) => {
  const client = await openClient(options);
  const path = `/api/v1/models/${encodeURIComponent(name!)}`;
  const [model, rollouts, promotions] = await Promise.all([
    client.request<Model>('GET', path),
    client.request<{ items: Rollout[] }>('GET', `${path}/rollouts`),
    client.request<{ items: { waitsFor: Standing }[] }>('GET', `${path}/promotions`),
  ]);
  const active = rollouts.items.filter(({ endedAt }) => endedAt === undefined);
  const shown = { ...model, rollouts: active, promotions: promotions.items };
  print(shown, options.json, () =>
    [
      `${name} serves ${describeAliases(model.aliases)}`,
      table(
        ['version', 'registered', 'by', 'requests', 'trained on'],
        model.versions.map(({ version, createdAt, createdBy, serving, datasets }) => [
          String(version),
          relativeTime(createdAt),
          createdBy,
          String(serving?.requests ?? 0),
          datasets.map((dataset) => `${dataset.name} ${dataset.version}`).join(', '),
        ]),
      ),
      ...active.map(describeRollout),
      ...promotions.items.map(({ waitsFor }) => describeWaiting(waitsFor)),
      ...describeWarnings(model),
    ].join('\n'),
  );
  return EXIT.ok;
};

/** `aios models promote NAME VERSION` */
export const promote: Action = async (options, [name, version]) => {
  const client = await openClient(options);
  const path = `/api/v1/models/${encodeURIComponent(name!)}/aliases/${options.alias}`;
  const outcome = await client.request<Outcome>('PUT', path, {
    body: { version: numberOf('The version', version), ...(options.force === true && { force: true }) },
  });
  return tell(outcome, options.json, `${options.alias} of ${name} now points at version ${version}`);
};

/** `aios models approve NAME VERSION` */
export const approve: Action = async (options, [name, version]) => {
  const client = await openClient(options);
  const decision = options.reject === true ? 'reject' : 'approve';
  const outcome = await client.request<Outcome>(
    'POST',
    `/api/v1/models/${encodeURIComponent(name!)}/versions/${version}/approvals`,
    {
      body: { alias: options.alias as string, decision, ...reasonOf(options) },
    },
  );
  print(outcome, options.json, () =>
    outcome.promoted
      ? describePromoted(outcome, `${options.alias} of ${name} now points at version ${version}`)
      : describeWaiting(outcome.waitsFor!),
  );
  return EXIT.ok;
};

/** `aios models rollback NAME` */
export const rollback: Action = async (options, [name]) => {
  const client = await openClient(options);
  const alias = options.alias as string;
  const active = await activeRollout(client, name!, alias);
  if (active) {
    const path = `/api/v1/models/${encodeURIComponent(name!)}/rollouts/${active.id}/rollback`;
    const ended = await client.request<Rollout>('POST', path, { body: reasonOf(options) });
    print(
      ended,
      options.json,
      () => `rollout ended: ${alias} of ${name} is version ${ended.champion} again, for all calls`,
    );
    return EXIT.ok;
  }
  const { aliases } = await client.request<Model>('GET', `/api/v1/models/${encodeURIComponent(name!)}`);
  const back = await client.request<{ version: number }>(
    'POST',
    `/api/v1/models/${encodeURIComponent(name!)}/aliases/${alias}/rollback`,
    { body: { version: aliases[alias] ?? 1, ...reasonOf(options) } },
  );
  print(back, options.json, () => `${alias} of ${name} points at version ${back.version} again`);
  return EXIT.ok;
};

/** The rollout of an alias that has not ended. */
export async function activeRollout(
  client: AiosClient,
  name: string,
  alias: string,
): Promise<Rollout | undefined> {
  const { items } = await client.request<{ items: Rollout[] }>(
    'GET',
    `/api/v1/models/${encodeURIComponent(name!)}/rollouts`,
  );
  return items.find((rollout) => rollout.alias === alias && rollout.endedAt === undefined);
}

/** The member `reason` of a body, where `--reason` is given. */
export function reasonOf({ reason }: { [option: string]: unknown }): { reason?: string } {
  return typeof reason === 'string' ? { reason } : {};
}

export function describeRollout({
  id,
  plan,
  alias,
  champion,
  challenger,
  percent,
  status,
  reason,
}: Rollout): string {
  const share = plan.kind === 'shadow' ? 'gets copies' : `answers ${percent} % of the keys`;
  const state = status === 'running' ? '' : ` (${status.replace('-', ' ')}${reason ? `: ${reason}` : ''})`;
  return `${plan.kind} ${id} of ${alias}: version ${challenger} ${share} beside version ${champion}${state}`;
}

function describeAliases(aliases: Record<string, number>): string {
  return Object.entries(aliases)
    .map(([alias, version]) => `${alias} ${version}`)
    .join(', ');
}

function describeWaiting({
  alias,
  version,
  approvalsNeeded,
  approvalsMissing,
  of,
  approvals,
  misfits,
}: Standing): string {
  const said = approvals.map(
    ({ name, decision, reason }) =>
      `  ${decision === 'approve' ? 'approved' : 'rejected'} by ${name}${reason ? `: ${reason}` : ''}`,
  );
  const who = of ? ` of ${of.join(' or ')}` : '';
  const missing =
    approvalsMissing === 0
      ? `version ${version} has the approvals for ${alias}`
      : `version ${version} waits for ${approvalsMissing} of ${approvalsNeeded} approvals${who} to become ${alias}`;
  const refused = misfits.map((misfit) => `  calls of ${alias} do not fit it: ${describeIssue(misfit)}`);
  return [missing, ...said, ...refused].join('\n');
}

function describePromoted(outcome: Outcome, done: string): string {
  return [done, ...describeWarnings(outcome)].join('\n');
}

/** Of the fallback chains around a model. */
function describeWarnings({ warnings = [] }: Pick<Outcome, 'warnings'>): string[] {
  return warnings.map((warning) => `! ${describeIssue(warning)}`);
}

function tell(outcome: Outcome, asJson: boolean, done: string): number {
  print(outcome, asJson, () =>
    outcome.promoted ? describePromoted(outcome, done) : describeWaiting(outcome.waitsFor!),
  );
  return outcome.promoted ? EXIT.ok : EXIT.approval;
}
