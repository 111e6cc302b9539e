import type { JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import { modelArtifacts, pathOfUri, runArtifacts, type TrackingArtifacts } from './artifacts.ts';
import type { LoggedModels } from './logged-models.ts';
import type { TrainingRuns } from './training-runs.ts';

/** What is found at a source: its files, and what the training says of them. */
export interface RegisteredFiles {
  readonly files: readonly { path: string; digest: string; sizeBytes: number }[];
  readonly card: JsonObject;
  /** The training run that made them. */
  readonly runId: string | undefined;
}

interface Kept {
  artifacts: TrackingArtifacts;
  runs: TrainingRuns;
  loggedModels: LoggedModels;
}

/**
 * Finds the files of `models:/m-…`, `runs:/<run>/<path>` or `mlflow-artifacts:/…`, with the parameters and last metrics of its training as a card.
 *
 * @throws AiosError `experiments.unknown` for a run or logged model that is not there
 */
export async function filesAt(
  { artifacts, runs, loggedModels }: Kept,
  { source, runId, modelId }: { source: string; runId?: string | undefined; modelId?: string | undefined },
): Promise<RegisteredFiles> {
  const id = modelId || loggedModelOf(source);
  const logged = id ? await loggedModels.get(id) : undefined;
  const [, ofRun, below] = /^runs:\/+([^/]+)\/(.+)$/.exec(source) ?? [];
  const trainedBy = runId || logged?.runId || ofRun;
  const run = trainedBy ? await runs.get(trainedBy) : undefined;
  const inRun = ofRun ? `${runArtifacts(await runs.get(ofRun))}/${below}` : source;
  const path = pathOfUri(logged ? modelArtifacts(logged) : inRun);
  const metrics = [...(run?.metrics ?? []), ...(logged?.metrics ?? [])].filter(({ value }) =>
    Number.isFinite(value),
  );
  return {
    runId: run?.id,
    files: path === undefined ? [] : await artifacts.below(path),
    card: {
      ...((run || logged) && { parameters: { ...run?.params, ...logged?.params } }),
      ...(metrics.length > 0 && {
        metrics: Object.fromEntries(metrics.map(({ key, value }) => [key, value])),
      }),
    },
  };
}

/** The logged model that an address names. @example loggedModelOf('models:/m-0af3') // 'm-0af3' */
export function loggedModelOf(source: string): string | undefined {
  return /^models:\/(m-[0-9a-f]+)$/.exec(source)?.[1];
}

/** The ONNX file of a model's files, or why there is none to serve. */
export function onnxOf(
  files: RegisteredFiles['files'],
  { modelBytesMax }: Pick<Limits, 'modelBytesMax'>,
): { path: string; digest: string } | string {
  if (files.length === 0) return 'nothing of it is kept here: its source is elsewhere, or empty.';
  const all = files.filter(({ path }) => path.endsWith('.onnx'));
  const named = all.filter(({ path }) => path === 'model.onnx' || path.endsWith('/model.onnx'));
  const found = named.length === 1 ? named[0] : all.length === 1 ? all[0] : undefined;
  if (found)
    return found.sizeBytes <= modelBytesMax
      ? found
      : `${found.path} has ${found.sizeBytes} bytes, and modelBytesMax is ${modelBytesMax}.`;
  return all.length === 0
    ? 'among its files is none in the form that is served here (ONNX).'
    : `it has ${all.length} ONNX files, and not one model.onnx among them.`;
}
