import { mkdir, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../kernel/clock.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { Json } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import { type MicroUsd, microUsd } from '../../kernel/money.ts';
import { Slots } from '../../kernel/slots.ts';
import type { Queryable } from '../../store/database.ts';
import type { Committer } from '../../store/group-commit.ts';
import { timestamp } from '../../store/rows.ts';
import type { ModelVersion } from '../model-version.ts';
import type { Models } from '../models.ts';
import { runArtifacts, type TrackingArtifacts } from '../tracking/artifacts.ts';
import type { Experiments } from '../tracking/experiments.ts';
import { tracked } from '../tracking/tracking-lane.ts';
import type { TrainingRuns } from '../tracking/training-runs.ts';
import { environmentOf } from './environment.ts';
import { readOutputs, type TrainingOutputs } from './outputs.ts';
import { type Ended, endLeftover, type ProcessIdentity, startTraining } from './process.ts';
import { readTrainer, type Trainer, timeOf } from './trainers.ts';
import type { OpenedDataset, TrainingCall } from './training-call.ts';
import { openTrainingFolder } from './training-folder.ts';
import { TrainingLog } from './training-log.ts';

/** What the key of a training is for, and nothing else. */
interface TrainingKeyScope {
  readonly trainingRun: string;
  /** The model that the step names; null where it names none. */
  readonly model: string | null;
  /** The person who started the run of the step. */
  readonly startedBy: string | null;
}

export interface TrainingDependencies {
  db: Queryable;
  commit: Committer;
  clock: Clock;
  limits: Limits;
  models: Models;
  experiments: Experiments;
  trainingRuns: TrainingRuns;
  trackingArtifacts: TrackingArtifacts;
  /** The operator's file of trainers. */
  trainersFile: string | undefined;
  /** Fills `${secrets.NAME}` in, and says what was. @throws AiosError for one that is not set */
  fill(text: string): { text: string; secrets: readonly string[] };
  /** Writes the Parquet file of a version to a path. @throws AiosError for one that is not there */
  openDataset(named: { name: string; version?: number | string }, path: string): Promise<OpenedDataset>;
  /** A key for the MLflow calls of one training, in force for so long at most. */
  issueKey(of: TrainingKeyScope, ms: number): Promise<{ key: string; revoke(): Promise<void> }>;
}

interface TrainingResult {
  readonly output: Json;
  readonly version: { name: string; version: number; digest: string } | undefined;
  readonly seconds: number;
  readonly costMicroUsd: MicroUsd;
}

interface TrainingRow {
  training_run: string;
  host: string;
  process: ProcessIdentity | null;
  result: TrainingResult | null;
}

/** A training under way: where its files are and what it is known by. */
interface Begun {
  readonly call: TrainingCall;
  readonly key: string;
  readonly trainer: Trainer;
  readonly folder: string;
  readonly trainingRun: string;
  readonly datasets: Readonly<Record<string, OpenedDataset>>;
  readonly log: TrainingLog;
}

/**
 * Runs the commands that flows train with. One training belongs to one step of a run: what has ended is answered again, what a process left behind is ended
 * before it is run anew, and a model that it made twice is one version.
 */
export class Trainings {
  readonly #deps: TrainingDependencies;
  readonly #slots = new Slots();
  #url: string | undefined;

  constructor(dependencies: TrainingDependencies) {
    this.#deps = dependencies;
  }

  /** Where the commands find MLflow's API: told once the server listens. Without it they write metrics.jsonl. */
  servedAt(url: string): void {
    this.#url = url;
  }

  /**
   * @throws AiosError `training.not_allowed`, `training.failed`, `training.output_invalid`, and those of a registration
   */
  async train(call: TrainingCall): Promise<TrainingResult> {
    const key = `${call.idempotencyKey}#${call.attempt}`;
    const trainer = await readTrainer(this.#deps.trainersFile, call.trainer);
    const release = await this.#slot(call);
    try {
      const [row] = await this.#deps.db.query<TrainingRow>(
        'select training_run, host, process, result from trainings where key = $1',
        [key],
      );
      if (row?.result) return row.result;
      if (row) await this.#endEarlier(row);
      return await this.#run(call, key, trainer);
    } finally {
      release();
    }
  }

  /** Waits for its turn: in the order of coming, for as long as it takes; the step's deadline bounds it. */
  async #slot({ trainer, signal }: TrainingCall): Promise<() => void> {
    const slots = {
      concurrencyMax: this.#deps.limits.trainingsActiveMax,
      queueMax: Number.POSITIVE_INFINITY,
    };
    try {
      return await this.#slots.take(slots, trainer, signal);
    } catch (error) {
      throw signal.aborted ? canceled() : error;
    }
  }

  async #endEarlier({ training_run: id, host, process }: TrainingRow): Promise<void> {
    if (process && host === hostname()) await endLeftover(process);
    await this.#deps.trainingRuns.update(id, { status: 'KILLED', endedMs: this.#deps.clock.now() });
  }

  async #run(call: TrainingCall, key: string, trainer: Trainer): Promise<TrainingResult> {
    const { commit, clock, limits, trainingRuns } = this.#deps;
    const folder = await openTrainingFolder(key);
    const trainingRun = await this.#openRun(call, trainer);
    const of = { runId: call.runId, stepKey: call.stepKey, trainingRun };
    const log = new TrainingLog(commit, clock, limits, of);
    try {
      const datasets = await this.#openDatasets(call, folder, trainingRun);
      const result = await this.#perform({ call, key, trainer, folder, trainingRun, datasets, log });
      await trainingRuns.update(trainingRun, { status: 'FINISHED', endedMs: clock.now() });
      return result;
    } catch (error) {
      const status = call.signal.aborted ? 'KILLED' : 'FAILED';
      await trainingRuns.update(trainingRun, { status, endedMs: clock.now() }).catch(() => {});
      throw error;
    } finally {
      await log.end();
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #perform(begun: Begun): Promise<TrainingResult> {
    const { call, key, trainer, folder, trainingRun } = begun;
    const { limits, clock } = this.#deps;
    const startedMs = performance.now();
    const ended = await this.#command(begun);
    const seconds = Math.round(performance.now() - startedMs) / 1_000;
    if (!('code' in ended) || ended.code !== 0) throw failed(trainer, ended, begun.log.tail, limits);
    const outputs = await readOutputs(join(folder, 'output'), limits, clock.now());
    const version = await this.#register(begun, outputs);
    const { metrics } = await this.#deps.trainingRuns.get(trainingRun);
    const told = metrics.filter(({ value }) => Number.isFinite(value));
    const result: TrainingResult = {
      output: {
        model: version?.name ?? null,
        version: version?.version ?? null,
        metrics: Object.fromEntries(told.map((metric) => [metric.key, metric.value])),
        trainingRun,
      },
      version: version && { name: version.name, version: version.version, digest: version.digest },
      seconds,
      costMicroUsd: microUsd((seconds / 3_600) * trainer.costPerHourUsd),
    };
    await this.#deps.commit.commit([
      tracked('update trainings set result = $2, ended_at = $3 where key = $1', [
        key,
        JSON.stringify(result),
        timestamp(clock.now()),
      ]),
    ]);
    call.signal.throwIfAborted();
    return result;
  }

  async #openRun(
    { experiment, model, trainer, runId, stepKey, parameters, by }: TrainingCall,
    { codeDigest }: Trainer,
  ) {
    const { experiments, trainingRuns } = this.#deps;
    const { id: experimentId } = await experiments.ensure(experiment ?? model ?? trainer, by.id);
    const { id } = await trainingRuns.create({
      experimentId: String(experimentId),
      userId: by.id,
      tags: [
        { key: 'aios.run', value: runId },
        { key: 'aios.step', value: stepKey },
        { key: 'aios.trainer', value: trainer },
        { key: 'aios.code', value: codeDigest },
      ],
      by: by.id,
    });
    const params = Object.entries(parameters).map(([key, value]) => ({
      key,
      value: typeof value === 'string' ? value : JSON.stringify(value),
    }));
    await trainingRuns.log(id, { params });
    return id;
  }

  async #openDatasets({ datasets }: TrainingCall, folder: string, trainingRun: string) {
    await mkdir(join(folder, 'data'));
    await mkdir(join(folder, 'output'));
    const opened: Record<string, OpenedDataset> = {};
    for (const [name, named] of Object.entries(datasets))
      opened[name] = await this.#deps.openDataset(named, join(folder, 'data', `${name}.parquet`));
    const inputs = Object.values(opened).map(
      ({ name, version, digest }): Json => ({
        dataset: { name, digest: digest.slice(0, 36), source_type: 'aios', source: `${name}@${version}` },
        tags: [{ key: 'mlflow.data.context', value: 'training' }],
      }),
    );
    await this.#deps.trainingRuns.link(trainingRun, { datasets: inputs });
    return opened;
  }

  async #command({ call, key, trainer, folder, trainingRun, datasets, log }: Begun): Promise<Ended> {
    const { limits, fill, issueKey } = this.#deps;
    const timeoutMs = timeOf(trainer, limits).ms;
    const issued =
      this.#url === undefined
        ? undefined
        : await issueKey(
            { trainingRun, model: call.model ?? null, startedBy: call.startedBy ?? null },
            timeoutMs,
          );
    try {
      await writeFile(join(folder, 'parameters.json'), JSON.stringify(call.parameters, undefined, 2));
      const given = Object.entries(trainer.environment).map(([name, text]) => ({ name, ...fill(text) }));
      const secrets = given.flatMap((each) => each.secrets);
      log.withhold(issued ? [...secrets, issued.key] : secrets);
      const untold = new AbortController();
      const tracking = issued && { url: this.#url!, key: issued.key, trainingRun };
      const { identity, ended } = startTraining({
        command: trainer.command,
        folder: trainer.folder ?? folder,
        environment: {
          ...environmentOf(call, folder, datasets, tracking),
          ...Object.fromEntries(given.map(({ name, text }) => [name, text])),
        },
        niceness: trainer.niceness,
        timeoutMs,
        signal: AbortSignal.any([call.signal, untold.signal]),
        onOutput: (stream, text) => log.add(stream, text),
      });
      const outcome = ended.catch((error: unknown) => error as Error); // awaited below, once it is told who runs
      await this.#tell(call, key, trainer, trainingRun, await identity).catch(async (error: unknown) => {
        untold.abort(); // nobody would find it again
        await outcome;
        throw error;
      });
      const result = await outcome;
      log.endOfStreams();
      if (result instanceof Error) throw result;
      return result;
    } finally {
      await issued?.revoke().catch(() => {}); // it ends by itself too
    }
  }

  async #tell(
    { runId, stepKey }: TrainingCall,
    key: string,
    { name }: Trainer,
    trainingRun: string,
    identity: ProcessIdentity | undefined,
  ): Promise<void> {
    await this.#deps.commit.commit([
      tracked(
        `insert into trainings (key, run_id, step_key, trainer, training_run, host, process, started_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (key) do update set
           training_run = excluded.training_run, host = excluded.host, process = excluded.process, started_at = excluded.started_at`,
        [
          key,
          runId,
          stepKey,
          name,
          trainingRun,
          hostname(),
          identity ? JSON.stringify(identity) : null,
          timestamp(this.#deps.clock.now()),
        ],
      ),
    ]);
  }

  /** What it wrote, as a version with where it comes from; nothing where none was asked for. */
  async #register(
    { call, trainer, trainingRun, datasets }: Begun,
    { onnx, signature, card, metadata, metrics }: TrainingOutputs,
  ): Promise<ModelVersion | undefined> {
    const { models, commit, clock, limits, trainingRuns, trackingArtifacts } = this.#deps;
    for (let at = 0; at < metrics.length; at += limits.trackingBatchMetricsMax)
      await trainingRuns.log(trainingRun, {
        metrics: metrics.slice(at, at + limits.trackingBatchMetricsMax),
      });
    if (call.model === undefined) return undefined;
    if (!onnx)
      throw new AiosError('training.output_invalid', {
        detail: `${trainer.name} ended well and wrote no model.onnx into AIOS_OUTPUT_DIR, of which ${call.model} was to get a version.`,
      });
    const run = await trainingRuns.get(trainingRun);
    const last = run.metrics.filter(({ value }) => Number.isFinite(value));
    const version = await models.register({
      name: call.model,
      onnx,
      signature,
      card: {
        parameters: call.parameters,
        metrics: Object.fromEntries(last.map(({ key, value }) => [key, value])),
        ...card,
      },
      metadata: {
        ...metadata,
        training: {
          run: call.runId,
          step: call.stepKey,
          trainer: trainer.name,
          code: trainer.codeDigest,
          datasets: distinct(Object.values(datasets)).map((dataset) => ({ ...dataset })),
        },
      },
      datasets: distinct(Object.values(datasets)),
      by: call.by,
      startedBy: call.startedBy,
    });
    const files = `${runArtifacts(run)}/model`;
    await trackingArtifacts.put(`${files.slice('mlflow-artifacts:/'.length)}/model.onnx`, onnx);
    await commit.commit([
      tracked(
        `insert into registered_versions (name, version, run_id, source, updated_at) values ($1, $2, $3, $4, $5)
         on conflict (name, version) do nothing`,
        [version.name, version.version, trainingRun, files, timestamp(clock.now())],
      ),
    ]);
    return version;
  }
}

/** A version of a dataset counts once, by however many names the command knows it. */
function distinct(datasets: readonly OpenedDataset[]): OpenedDataset[] {
  return [...new Map(datasets.map((each) => [`${each.name}@${each.version}`, each])).values()];
}

function failed(trainer: Trainer, ended: Ended, tail: string, limits: Limits): AiosError {
  if ('stopped' in ended && ended.stopped === 'canceled') return canceled();
  const { name } = trainer;
  const { ms, by } = timeOf(trainer, limits);
  const why =
    'code' in ended
      ? `${name} exited with ${ended.code}`
      : ended.stopped === 'missing'
        ? `The command of ${name} is not on this machine`
        : `${name} did not end within ${ms} ms (${by}) and was ended`;
  return new AiosError('training.failed', { detail: tail.trim() ? `${why}: ${tail.trim()}` : `${why}.` });
}

const canceled = () => new AiosError('training.failed', { detail: 'It was canceled, and ended.' });
