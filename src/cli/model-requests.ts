import type { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Action } from './command-row.ts';
import { requireCaller, requireRun, requireVersion } from './known-names.ts';
import { listText, readList } from './listing.ts';
import { countOf, EXIT, pastTime, print, relativeTime, table } from './output.ts';
import { answeredText, askedText, type ToldRequest } from './request-text.ts';
import { openClient } from './session.ts';

interface SampledRequest extends ToldRequest {
  id: string;
  at: string;
  version: number;
  status: string;
  answeredBy: { model: string; version: number } | null;
  caller: { id: string } | null;
  runId?: string;
  latencyMs: number;
  error: { code: string } | null;
}

const TEXT_CHARS_MAX = 60;
const TRACE_ID = /^[0-9a-f]{32}$/i;

/** Lists the sampled requests of a model, the newest first. */
export const modelRequests: Action = async (options, [model]) => {
  const client = await openClient(options);
  const { ofVersion, status, caller, trace, run, limit, ...period } = options as Record<
    string,
    string | undefined
  >;
  if (trace !== undefined && !TRACE_ID.test(trace))
    throw new AiosError('request.invalid', {
      detail: `--trace takes the id of a trace, 32 hexadecimal digits; “${trace}” is not.`,
    });
  const version = ofVersion === undefined ? undefined : countOf('--of-version', ofVersion);
  const [from, to] = [pastTime(period.from), pastTime(period.to)];
  const path = `/api/v1/models/${encodeURIComponent(model!)}/requests`;
  const query = { version, status, caller, trace: trace?.toLowerCase(), run, from, to };
  const page = await readList<{ items: SampledRequest[] }>(client, path, query, limit);
  if (page.items.length === 0) await requireFilters(client, model!, { ofVersion, caller, run });
  const why = page.items.length === 0 && !(await keepsRequests(client, model!)) ? NONE_KEPT : '';
  print(page, options.json, () => listText(page, describe(page.items), '--status, --from or --run') + why);
  return EXIT.ok;
};

const NONE_KEPT =
  ': no request of this model is kept. `log: { sample: 0.01 }` under `serving` of its definition keeps one in a hundred (docs/model-traffic.md).';

async function keepsRequests(client: AiosClient, model: string): Promise<boolean> {
  const definition = await client
    .call('GET /api/v1/model-definitions/{name}', { params: { name: model } })
    .catch(() => undefined); // registered by a call alone, or not to be read by this key
  return (
    definition === undefined ||
    (definition.body as { serving?: { log?: unknown } }).serving?.log !== undefined
  );
}

/** Where no request fits: what it was filtered by must be there. */
async function requireFilters(
  client: AiosClient,
  model: string,
  {
    ofVersion,
    caller,
    run,
  }: { ofVersion?: string | undefined; caller?: string | undefined; run?: string | undefined },
): Promise<void> {
  if (ofVersion !== undefined) {
    const path = `/api/v1/models/${encodeURIComponent(model)}`;
    const { versions } = await client.request<{ versions: { version: number }[] }>('GET', path);
    requireVersion(
      model,
      ofVersion,
      versions.map(({ version }) => version),
    );
  }
  await requireRun(client, run);
  await requireCaller(client, caller);
}

function describe(requests: readonly SampledRequest[]): string {
  return table(
    ['id', 'when', 'version', 'status', 'ms', 'caller', 'asked', 'answered'],
    requests.map((request) => {
      const { id, at, version, status, answeredBy, caller, runId, latencyMs, error } = request;
      return [
        id,
        relativeTime(at),
        status === 'degraded' && answeredBy
          ? `${version} (${answeredBy.model}/${answeredBy.version})`
          : String(version),
        status,
        latencyMs.toFixed(1),
        runId ?? caller?.id ?? '',
        short(askedText(request)),
        error?.code ?? short(answeredText(request)),
      ];
    }),
  );
}

/** In one line. */
function short(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > TEXT_CHARS_MAX ? `${line.slice(0, TEXT_CHARS_MAX - 1)}…` : line;
}
