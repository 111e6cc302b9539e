import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AiosError } from '../kernel/errors.ts';
import { isObject, type Json } from '../kernel/json.ts';
import type { LoggedModels } from '../models/tracking/logged-models.ts';
import { modelName } from '../models/tracking/registry.ts';
import type { TrainingRuns } from '../models/tracking/training-runs.ts';
import type { Caller } from './routes.ts';

/** What the runs and logged models of a training are looked up in. */
export interface TrainingKeyDependencies {
  readonly trainingRuns: Pick<TrainingRuns, 'get'>;
  readonly loggedModels: Pick<LoggedModels, 'get'>;
}

/** The key of a training with a request of it. */
interface Asked {
  readonly caller: Caller & { readonly training: NonNullable<Caller['training']> };
  readonly body: Readonly<Record<string, Json | undefined>>;
  readonly params: Readonly<Record<string, string>>;
}
type Rule = (asked: Asked, of: TrainingKeyDependencies) => boolean | Promise<boolean>;

const anything: Rule = () => true;
const ownRun: Rule = ({ caller, body }, of) => isOwnRun(caller, body.run_id, of);
const ownLoggedModel: Rule = ({ caller, params }, of) => isOwnLoggedModel(caller, params.model_id, of);
const ownFile: Rule = ({ caller, params }, of) => isOwnPath(caller, params['*'] ?? '', of);
const ownModel: Rule = ({ caller, body, params }) => {
  const name = params.name ?? body.name;
  return typeof name === 'string' && modelName(name) === caller.training.model;
};
const ownVersion: Rule = async (asked, of) =>
  (await ownModel(asked, of)) && (!asked.body.run_id || (await ownRun(asked, of)));

const MLFLOW = '/api/2.0/mlflow';
const FILES = '/api/2.0/mlflow-artifacts';

/** What the key of a training may change: by the beginnings of routes, the first that fits. What is read is as open as to its role. */
const RULES: readonly (readonly [route: string, rule: Rule])[] = [
  [`${MLFLOW}/experiments/create`, anything],
  [`${MLFLOW}/runs/create`, anything],
  [`${MLFLOW}/runs/`, ownRun],
  [`${MLFLOW}/logged-models/:model_id`, ownLoggedModel],
  [`${MLFLOW}/logged-models`, ({ caller, body }, of) => isOwnRun(caller, body.source_run_id, of)],
  [`${MLFLOW}/registered-models/`, ownModel],
  [`${MLFLOW}/model-versions/`, ownVersion],
  [`${FILES}/artifacts/*`, ownFile],
  // Parts are for an upload that this key began: its id is told to nobody else.
  [`${FILES}/mpu/parts/`, anything],
  [`${FILES}/mpu/`, ownFile],
  ['/api/v1/models/:name/versions', ownModel],
];

/**
 * Holds the key that a training is given to what it is for: its run and those that it began itself, their files, and the model that its step names. The
 * command that has it may be anybody's code.
 */
export function boundTrainingKeys(server: FastifyInstance, dependencies: TrainingKeyDependencies): void {
  server.addHook('preHandler', async (request) => {
    const { caller } = request;
    if (!caller?.training || isRead(request)) return;
    const url = request.routeOptions.url ?? '';
    const [, rule] = RULES.find(([route]) => url.startsWith(route)) ?? [];
    const asked = {
      caller: caller as Asked['caller'],
      body: isObject(request.body as Json) ? (request.body as Asked['body']) : {},
      params: (request.params ?? {}) as Asked['params'],
    };
    if (rule && (await rule(asked, dependencies))) return;
    const { trainingRun, model } = caller.training;
    throw new AiosError('access.forbidden', {
      detail: `This key is for the training run ${trainingRun} and ${model === null ? 'no model, since its step names none' : `the model ${model}`}. Use a key of your own for anything else.`,
    });
  });
}

function isRead({ method, routeOptions }: FastifyRequest): boolean {
  const { permission } = routeOptions.config;
  return method === 'GET' || method === 'HEAD' || permission === 'public' || permission === 'models.read';
}

async function isOwnRun(
  { id, training }: Asked['caller'],
  run: Json | undefined,
  { trainingRuns }: TrainingKeyDependencies,
): Promise<boolean> {
  if (typeof run !== 'string') return false;
  return run === training.trainingRun || (await trainingRuns.get(run)).createdBy === id;
}

async function isOwnLoggedModel(
  caller: Asked['caller'],
  model: string | undefined,
  of: TrainingKeyDependencies,
): Promise<boolean> {
  return model !== undefined && isOwnRun(caller, (await of.loggedModels.get(model)).runId, of);
}

/** `EXPERIMENT/RUN/artifacts/…`, or `EXPERIMENT/models/MODEL/artifacts/…`. */
async function isOwnPath(
  caller: Asked['caller'],
  path: string,
  of: TrainingKeyDependencies,
): Promise<boolean> {
  const [experiment, first, second, third] = path.split('/').filter((part) => part !== '');
  if (path.split('/').includes('..')) return false;
  if (first === 'models')
    return (
      third === 'artifacts' &&
      (await isOwnLoggedModel(caller, second, of)) &&
      String((await of.loggedModels.get(second!)).experimentId) === experiment
    );
  return (
    second === 'artifacts' &&
    (await isOwnRun(caller, first, of)) &&
    String((await of.trainingRuns.get(first!)).experimentId) === experiment
  );
}
