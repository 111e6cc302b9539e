import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Models } from '../../models/models.ts';
import { type Measure, Quantizations } from '../../models/quantizations.ts';
import type { Runtime } from '../../serving/runtimes/runtime.ts';
import { accuracyOf } from '../../serving/traffic/accuracy.ts';
import { type EvaluationRow, evaluationRows, loggedRows } from '../../serving/traffic/evaluation-rows.ts';
import { randomRows } from '../../serving/traffic/random-rows.ts';
import type { RequestLog } from '../../serving/traffic/request-log.ts';
import { sideBySide } from '../../serving/traffic/side-by-side.ts';

const LOGGED_MAX = 1_000; // samples of the request log
const LOGGED_MIN = 30; // fewer say too little: random rows are taken
const RANDOM_ROWS = 512;
const SEED = 20_261_121; // any: the same rows for every version

/** Quantized versions of models: the registry rewrites, serving measures. */
export function createQuantizations(
  limits: Limits,
  { models, requestLog, runtime }: { models: Models; requestLog: RequestLog; runtime: Runtime },
): Quantizations {
  const measure: Measure = async ({ name, version, rows, label, parent, child, tables }) => {
    const { signature, serving } = models.resolve(name, version);
    const chosen = rows
      ? { source: 'rows', requests: evaluationRows(rows, signature, label) }
      : await withoutRows(name, version, tables);
    const {
      answers,
      rows: count,
      ...figures
    } = await sideBySide(runtime, {
      parent,
      child,
      rows: chosen.requests,
      batchMax: serving.batchMax,
      threads: serving.threads,
      warmUp: serving.warmUp,
      timeoutMs: serving.timeoutMs,
      withinMs: limits.quantizationMeasureMs,
    });
    const data: JsonObject = {
      source: chosen.source,
      rows: count,
      ...(chosen.source === 'random' && { seed: SEED }),
      ...(label !== undefined && { label }),
    };
    if (label === undefined || !rows) return { data, ...figures };
    const { task } = models.version(name, version).card;
    const labels = rows.map((row) => row[label] as Json);
    return { data, ...figures, accuracy: accuracyOf(labels, answers.parent, answers.child, signature, task) };
  };

  async function withoutRows(
    model: string,
    version: number,
    tables: Readonly<Record<string, number>>,
  ): Promise<{ source: string; requests: EvaluationRow[] }> {
    const { signature } = models.resolve(model, version);
    const logged = await requestLog.read({ model, status: 'answered' }, LOGGED_MAX);
    const whole = logged.filter(({ truncated }) => truncated !== true);
    const requests = loggedRows(
      whole.map(({ request }) => request as JsonObject),
      signature,
    );
    if (requests.length >= LOGGED_MIN)
      return { source: 'request-log', requests: requests.slice(0, LOGGED_MAX) };
    return { source: 'random', requests: randomRows(signature.inputs, tables, RANDOM_ROWS, SEED) };
  }

  return new Quantizations({ models, measure, limits });
}
