import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { exchange } from '../../connectors/http-exchange.ts';
import type { Outgoing } from '../../connectors/outgoing.ts';
import { SecretAudience } from '../../connectors/secret-hosts.ts';
import { compileTemplate, usedFor, type Variables } from '../../connectors/template.ts';
import type { CloudEvent } from '../../kernel/cloudevent.ts';
import { destinationOf } from '../../kernel/destination.ts';
import { VERSION } from '../../kernel/version.ts';
import type { OpenLineageEvent } from '../../ledger/openlineage/event.ts';
import type { Naming } from '../../ledger/openlineage/naming.ts';
import { Outbox } from '../../ledger/openlineage/outbox.ts';
import { OpenLineageRelay, type Sent } from '../../ledger/openlineage/relay.ts';
import type { LineageSink, Transport } from '../../ledger/openlineage/sink-kind.ts';
import type { ToldRun } from '../../ledger/openlineage/work-events.ts';
import type { Definitions } from '../../store/definitions.ts';
import type { LineagePort } from '../../workflow/engine/barriers.ts';
import type { Ground } from './ground.ts';
import { runsToTell, workToTell } from './openlineage-work.ts';

interface Surroundings {
  readonly definitions: Definitions;
  readonly outgoing: Outgoing;
  readonly variables: Variables;
}

const PATH = '/api/v1/lineage';

type HttpTransport = Extract<Transport, { type: 'http' }>;

/** `AIOS_LINEAGE_NAMESPACE`, and in `AIOS_LINEAGE_DATABASES` how other systems name the database of batch views' tables. */
function namingFrom(env: NodeJS.ProcessEnv): Naming {
  const databases = (env.AIOS_LINEAGE_DATABASES ?? '').split(',').map((name) => name.trim());
  return {
    namespace: env.AIOS_LINEAGE_NAMESPACE || 'aios',
    databases: databases.filter((name) => name.includes('/')),
  };
}

/** What goes out as OpenLineage events: from the outbox to each sink, through the guard of everything that leaves. */
export function createOpenLineage(ground: Ground, { definitions, outgoing, variables }: Surroundings) {
  const { db, limits, troubles, dataDir } = ground;
  const naming = namingFrom(process.env);
  const outbox = new Outbox(db);
  let sinks: readonly LineageSink[] = [];
  definitions.onChange((changed) => {
    if (changed.some(({ kind }) => kind === 'lineage-sink'))
      sinks = definitions.list('lineage-sink').map(({ body }) => body as unknown as LineageSink);
  });
  const openLineage = new OpenLineageRelay({
    ...{ outbox, db, limits, naming, version: VERSION },
    sinks: () => sinks,
    send: ({ transport }, event) =>
      transport.type === 'file'
        ? appendTo(join(dataDir, 'lineage'), transport.file, event)
        : post(transport, event),
    work: () => workToTell(db, limits),
    runs: (sources, sinceMs) => runsToTell(db, limits, sources, sinceMs),
    onError: troubles.of('OpenLineage events could not be sent'),
  });

  async function post(transport: HttpTransport, event: OpenLineageEvent): Promise<Sent> {
    const { origin, path, headers } = lineageReceiver(transport, variables);
    const { status, text } = await exchange(outgoing.agent, {
      ...{ origin, path, method: 'POST', body: JSON.stringify(event) },
      headers: { 'content-type': 'application/json', ...headers },
      timeoutMs: limits.lineageSendMs,
      responseBytesMax: limits.connectorResponseBytesMax,
      signal: undefined,
    });
    if (status >= 200 && status < 300) return { ok: true };
    return { ok: false, problem: `${status}: ${text.slice(0, 300)}`, isFinal: REFUSING.has(status) };
  }
  return { openLineage, outbox, naming };
}

/**
 * Where a sink is, and the credentials that go there.
 *
 * @throws AiosError `connectors.variable_unset`, `connectors.secret_refused`
 */
export function lineageReceiver({ url, endpoint = PATH, apiKey }: HttpTransport, variables: Variables) {
  const audience = new SecretAudience();
  const used = usedFor(audience.use, variables);
  const resolve = (text: string) => compileTemplate(text, ['env', 'secrets']).resolve(used);
  const address = new URL(resolve(url));
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${resolve(apiKey)}` };
  audience.check(destinationOf(address));
  return { origin: address.origin, path: address.pathname.replace(/\/+$/, '') + endpoint, headers };
}

/** Answers about the event itself; all others (a key, an address, a load) may be put right. */
const REFUSING = new Set([400, 413, 422]);

async function appendTo(folder: string, file: string, event: OpenLineageEvent): Promise<Sent> {
  await mkdir(folder, { recursive: true });
  await appendFile(join(folder, file), `${JSON.stringify(event)}\n`);
  return { ok: true };
}

type Ended = Parameters<LineagePort>[1];

/** A run as the sinks are told of it; what it holds of people's data stays here. */
export function endedRun(
  { run, patch }: Ended,
  pins: ToldRun['pins'],
  event: CloudEvent | undefined,
  at: number,
): ToldRun {
  const { id, workflow, startedAtMs, origin } = run;
  const error = patch.result?.error;
  const status = patch.status === 'completed' || patch.status === 'failed' ? patch.status : 'canceled';
  return {
    ...{ id, workflow, status, startedAt: startedAtMs, at },
    // The type and title of an error are of the program; its detail may quote what a person wrote.
    ...(error && { error: `${error.type}${error.title === undefined ? '' : `: ${error.title}`}` }),
    ...(event && { event: event.type }),
    pins: pins.map(({ kind, name, version }) => ({ kind, name, version })),
    ...(origin.scheduledMs !== undefined && { scheduledAt: origin.scheduledMs }),
    ...(origin.parent && { parentRunId: origin.parent.runId }),
  };
}
