import { readFile } from 'node:fs/promises';
import type { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';
import { strictJson } from '../kernel/exact-integers.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { formatUsd } from '../kernel/money.ts';
import type { Action } from './command-row.ts';
import { requireKnown, requireVersion, unknownName } from './known-names.ts';
import { listText, readList } from './listing.ts';
import { countOf, EXIT, print, relativeTime, table } from './output.ts';
import { exampleOfSchema } from './schema-example.ts';
import { openClient } from './session.ts';

interface RunSummary {
  id: string;
  workflow: string;
  /** Of one that was just started it may not be known yet. */
  version?: string;
  status: string;
  startedAt: string;
  outcome?: string;
  subject?: string;
  costMicroUsd?: number;
}

/** Which runs are meant: `--workflow`, `--of-version`, `--status`, `--attr orderId=o-1`. */
export function selection(options: { [option: string]: unknown }): { [name: string]: string | undefined } {
  const {
    workflow,
    ofVersion,
    status,
    attr = [],
  } = options as { [option: string]: string } & { attr?: string[] };
  if (ofVersion !== undefined && workflow === undefined)
    throw new AiosError('request.invalid', {
      detail: 'Every flow counts its versions itself: --of-version goes with --workflow.',
    });
  const version = ofVersion === undefined ? undefined : String(countOf('--of-version', ofVersion));
  const attributes = attr.map((pair) => {
    const at = pair.indexOf('=');
    if (at < 1)
      throw new AiosError('request.invalid', { detail: `--attr ${pair}: name=value was expected.` });
    return [`${ATTRIBUTE}${pair.slice(0, at)}`, pair.slice(at + 1)];
  });
  return { workflow, version, status, ...Object.fromEntries(attributes) };
}

/**
 * Where no run fits: the flow that was named must be there, and the attributes be some flow's.
 *
 * @throws AiosError `workflow.not_found`, `request.invalid`
 */
export async function requireSelected(
  client: AiosClient,
  options: { [option: string]: unknown },
): Promise<void> {
  const { workflow, ofVersion } = options as { workflow?: string; ofVersion?: string };
  await requireKnown(client, 'flow', workflow);
  if (workflow !== undefined && ofVersion !== undefined) {
    const path = `/api/v1/workflows/${encodeURIComponent(workflow)}/versions`;
    const { items } = await client.request<{ items: { version: number }[] }>('GET', path);
    requireVersion(
      workflow,
      ofVersion,
      items.map(({ version }) => version),
    );
  }
  const asked = Object.keys(selection(options)).filter((name) => name.startsWith(ATTRIBUTE));
  if (asked.length === 0) return;
  const { items } = await client.request<{ items: Flow[] }>('GET', '/api/v1/workflows');
  const flows = items.filter(({ name }) => workflow === undefined || name === workflow);
  const known = flows.flatMap(({ body }) => Object.keys(body.document.metadata?.aios?.attributes ?? {}));
  for (const name of asked.map((one) => one.slice(ATTRIBUTE.length)))
    if (!known.includes(name)) throw unknownName('request.invalid', 'attribute', name, known);
}

const ATTRIBUTE = 'attr.';

interface Flow {
  name: string;
  body: { document: { metadata?: { aios?: { attributes?: object } } } };
}

export interface Run extends RunSummary {
  output: Json;
  error?: { code?: string; title?: string; detail?: string; instance?: string };
  /** Of one that waits: what people and systems answer by its name, or `listen`, `run`, `timer`. */
  waitingFor?: string;
  steps: {
    /** `pay`, `safely/pay`, `each[2]/pay`: what `--step` takes. */
    key: string;
    primitive?: string;
    status: string;
    startedAt: string;
    endedAt?: string;
    attempts: number;
  }[];
  /** Of one run that is asked for: what it was made with, and its entries in the audit log. */
  pins?: { kind: string; name: string; version: string }[];
  audit?: { index: number }[];
}

/** Starts a run and prints its result; exit code 1 when the run failed or was canceled. */
export const run: Action = async (options, [workflow]) => {
  const client = await openClient(options);
  const { event, input, wait, idempotencyKey } = options as Record<string, string | undefined>;
  const headers = {
    ...(event ? { 'content-type': 'application/cloudevents+json' } : {}),
    ...(idempotencyKey ? { 'idempotency-key': idempotencyKey } : {}),
  };
  if (event === undefined && input === undefined) await requireNoEvent(client, workflow!);
  const body = event ? await readJson(event) : { input: await readJson(input ?? '{}') };
  const started = await client.request<Run>(
    'POST',
    `/api/v1/workflows/${encodeURIComponent(workflow!)}/runs`,
    {
      query: { wait },
      body,
      headers,
    },
  );
  print(started, options.json, () => describeRun(started));
  return started.status === 'failed' || started.status === 'canceled' ? EXIT.failed : EXIT.ok;
};

/** Without an event a flow that events start would fail at its first look at one: nothing was given, so nothing is started. */
async function requireNoEvent(client: AiosClient, workflow: string): Promise<void> {
  const body = await client
    .call('GET /api/v1/workflows/{name}', { params: { name: workflow } })
    .then((definition) => definition.body as { schedule?: { on?: Json } })
    .catch(() => undefined); // there is none, or it may not be read: the start tells
  if (body?.schedule?.on === undefined) return;
  const types = [...new Set(JSON.stringify(body.schedule.on).match(/(?<="type":")[^"]+/g))];
  const on = types.length > 0 ? types.join(', ') : 'events';
  const event = types.length > 0 ? await exampleEvent(client, types[0]!) : undefined;
  const example =
    event === undefined
      ? ''
      : ` One to change:\n  aios run ${workflow} --event '${JSON.stringify(event).replaceAll("'", String.raw`'\''`)}'`;
  throw new AiosError('request.invalid', {
    detail: `${workflow} starts on ${on}: give one with --event (@file reads it from a file).${example}`,
  });
}

/** An event that the contract of its type takes; none where the contract may not be read, or no value is found that fits. */
async function exampleEvent(client: AiosClient, type: string): Promise<JsonObject | undefined> {
  const contract = await client
    .call('GET /api/v1/contracts/{name}', { params: { name: type } })
    .then((definition) => definition.body as { schema?: JsonObject })
    .catch(() => undefined);
  const data = contract?.schema && exampleOfSchema(contract.schema);
  return data === undefined
    ? undefined
    : { specversion: '1.0', id: `try-${Date.now()}`, source: 'urn:me', type, data };
}

export const runs: Action = async (options, [id]) => {
  const client = await openClient(options);
  if (id) {
    const one = await client.request<Run>('GET', `/api/v1/runs/${encodeURIComponent(id)}`);
    print(one, options.json, () => describeRun(one));
    return EXIT.ok;
  }
  const page = await readList<{ items: RunSummary[] }>(
    client,
    '/api/v1/runs',
    selection(options),
    options.limit,
  );
  if (page.items.length === 0) await requireSelected(client, options);
  print(page, options.json, () =>
    listText(
      page,
      table(
        ['run', 'flow', 'status', 'outcome', 'started', 'cost', 'subject'],
        page.items.map((item) => [
          item.id,
          `${item.workflow} ${item.version}`,
          item.status,
          item.outcome ?? '',
          relativeTime(item.startedAt),
          item.costMicroUsd === undefined ? '' : formatUsd(item.costMicroUsd),
          item.subject ?? '',
        ]),
      ),
      '--workflow, --status or --attr',
    ),
  );
  return EXIT.ok;
};

export function describeRun(one: Run): string {
  const steps = (one.steps ?? []).map((step) => [
    step.key,
    step.primitive ?? '',
    step.status,
    step.endedAt ? `${Date.parse(step.endedAt) - Date.parse(step.startedAt)} ms` : '',
    step.attempts > 1 ? `${step.attempts} attempts` : '',
  ]);
  const flow = one.version === undefined ? one.workflow : `${one.workflow} ${one.version}`;
  const head = `${one.id}  ${flow}  ${one.status}`;
  return [
    head,
    ...(steps.length > 0 ? [table(['step', 'primitive', 'status', 'took', ''], steps)] : []),
    ...resultOf(one),
    ...recordsOf(one),
  ].join('\n');
}

const WAITS: Readonly<Record<string, string>> = {
  'human-task': 'It waits for a person: aios inbox shows what waits for you.',
  listen: 'It waits for an event.',
  run: 'It waits for another run.',
  timer: 'It waits for a time.',
};

function resultOf({ id, status, error, output, waitingFor, steps }: Run): string[] {
  if (error) {
    const { code, detail, title, instance } = error;
    const told = ['error  ', code, detail ?? title].filter(Boolean).join(' ');
    return [told, ...(instance ? [`at      ${instance}`] : [])];
  }
  if (status === 'completed') return [`output  ${JSON.stringify(output ?? null)}`];
  if (status === 'running' || status === 'pending')
    return steps ? [] : [`It has not ended yet: aios runs ${id} shows how far it is.`];
  if (status !== 'waiting') return [];
  const why = WAITS[waitingFor ?? ''] ?? 'Something is waited for.';
  return [steps ? why : `${why} aios runs ${id} shows the steps.`];
}

/** What the run was made with, what it cost and where it stands in the audit log, as far as the answer has it. */
function recordsOf({ pins = [], costMicroUsd, audit = [] }: Run): string[] {
  const made = pins.map(({ kind, name, version }) => `${kind} ${name} ${version}`);
  const places = audit.map(({ index }) => index);
  return [
    ...(made.length > 0 ? [`made    ${made.join(', ')}`] : []),
    ...(costMicroUsd === undefined ? [] : [`cost    ${formatUsd(costMicroUsd)}`]),
    ...(places.length > 0 ? [`audit   ${places.join(', ')}  (aios audit ${places.at(-1)})`] : []),
  ];
}

/** JSON from an argument, or from the file that `@` names. */
export async function readJson(argument: string): Promise<Json> {
  if (argument === '@')
    throw new AiosError('request.invalid', { detail: 'Name a file behind the @, as in @event.json.' });
  const text = argument.startsWith('@') ? await readFile(argument.slice(1), 'utf8') : argument;
  try {
    return strictJson(text);
  } catch (cause) {
    if (cause instanceof AiosError) throw cause;
    throw new AiosError('request.malformed', { detail: `${argument}: ${(cause as Error).message}`, cause });
  }
}
