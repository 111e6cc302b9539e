import { join } from 'node:path';
import type { Json } from '../../kernel/json.ts';
import type { OpenedDataset, TrainingCall } from './training-call.ts';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * All that a training command has of an environment, besides what the operator adds: its parameters (whole in AIOS_PARAMETERS, each as AIOS_PARAM_NAME), the files
 * of its datasets (AIOS_DATASET_NAME, with _VERSION and _DIGEST), AIOS_OUTPUT_DIR, and MLflow's variables for the run that is set up for it.
 */
export function environmentOf(
  { runId, stepKey, parameters }: Pick<TrainingCall, 'runId' | 'stepKey' | 'parameters'>,
  folder: string,
  datasets: Readonly<Record<string, OpenedDataset>>,
  tracking: { url: string; key: string; trainingRun: string } | undefined,
): Record<string, string> {
  const given: Record<string, string> = {
    PATH,
    HOME: folder,
    TMPDIR: folder,
    LANG: 'C.UTF-8',
    AIOS_RUN_ID: runId,
    AIOS_STEP: stepKey,
    AIOS_OUTPUT_DIR: join(folder, 'output'),
    AIOS_PARAMETERS: join(folder, 'parameters.json'),
  };
  for (const [name, value] of Object.entries(parameters))
    given[`AIOS_PARAM_${variable(name)}`] = plain(value);
  for (const [name, { version, digest }] of Object.entries(datasets)) {
    const prefix = `AIOS_DATASET_${variable(name)}`;
    given[prefix] = join(folder, 'data', `${name}.parquet`);
    given[`${prefix}_VERSION`] = String(version);
    given[`${prefix}_DIGEST`] = digest;
  }
  if (tracking) {
    given.MLFLOW_TRACKING_URI = tracking.url;
    given.MLFLOW_TRACKING_TOKEN = tracking.key;
    given.MLFLOW_RUN_ID = tracking.trainingRun;
  }
  return given;
}

const variable = (name: string) => name.toUpperCase().replace(/[^A-Z0-9_]/g, '_');
const plain = (value: Json) =>
  (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('\0', '');
