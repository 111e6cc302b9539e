import { EXIT, print, relativeTime, table } from './output.ts';
import type { Action } from './program.ts';
import { openClient } from './session.ts';

interface SampledRequest {
  id: string;
  at: string;
  version: number;
  status: string;
  answeredBy: { model: string; version: number } | null;
  caller: { id: string } | null;
  runId?: string;
  latencyMs: number;
  request: { features?: object; inputs?: object[] };
  answer: { outputs: unknown } | null;
  error: { code: string } | null;
}

const TEXT_CHARS_MAX = 60;

/** Lists the sampled requests of a model, the newest first. */
export const modelRequests: Action = async (options, [model]) => {
  const client = await openClient(options);
  const { ofVersion, status, caller, trace, run, from, to, limit } = options as Record<string, string>;
  const page = await client.request<{ items: SampledRequest[] }>(
    'GET',
    `/api/v1/models/${encodeURIComponent(model!)}/requests`,
    { query: { version: ofVersion, status, caller, trace, run, from, to, limit } },
  );
  print(page, options.json, () => describe(page.items));
  return EXIT.ok;
};

function describe(requests: readonly SampledRequest[]): string {
  return table(
    ['id', 'when', 'version', 'status', 'ms', 'caller', 'asked', 'answered'],
    requests.map(
      ({ id, at, version, status, answeredBy, caller, runId, latencyMs, request, answer, error }) => [
        id,
        relativeTime(at),
        status === 'degraded' && answeredBy
          ? `${version} (${answeredBy.model}/${answeredBy.version})`
          : String(version),
        status,
        latencyMs.toFixed(1),
        runId ?? caller?.id ?? '',
        short(request.features ?? request.inputs),
        error?.code ?? short(answer?.outputs),
      ],
    ),
  );
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  return text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX - 1)}…` : text;
}
