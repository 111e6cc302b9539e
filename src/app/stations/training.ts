import type { Access, TrainingScope } from '../../access/access.ts';
import { compileTemplate, type Variables } from '../../connectors/template.ts';
import type { Datasets } from '../../features/datasets/datasets.ts';
import type { AuditLog } from '../../ledger/audit.ts';
import type { Models } from '../../models/models.ts';
import type { Promotions } from '../../models/promotions.ts';
import { ArtifactCollection } from '../../models/tracking/artifact-collection.ts';
import { ArtifactUploads } from '../../models/tracking/artifact-uploads.ts';
import { TrackingArtifacts } from '../../models/tracking/artifacts.ts';
import { Experiments } from '../../models/tracking/experiments.ts';
import { LoggedModels } from '../../models/tracking/logged-models.ts';
import { RegisteredModels } from '../../models/tracking/registry.ts';
import { TrainingRuns } from '../../models/tracking/training-runs.ts';
import { Trainings } from '../../models/training/trainings.ts';
import type { Ground } from './ground.ts';
import type { Stations } from './stations.ts';

/** What it needs of the stations before it. */
export interface TrackingKeys {
  readonly auditLog: AuditLog;
  readonly access: Access;
  readonly variables: Variables;
  readonly datasets: Datasets;
}

/** Experiments, what is registered from them, and what flows train with: the operator's commands. */
export function createTracking(
  ground: Ground,
  {
    models,
    promotions,
    auditLog,
    access,
    variables,
    datasets,
  }: TrackingKeys & { models: Models; promotions: Promotions },
) {
  const experiments = new Experiments(ground);
  const trainingRuns = new TrainingRuns(ground, experiments);
  const loggedModels = new LoggedModels(ground, experiments);
  const trackingArtifacts = new TrackingArtifacts(ground);
  const registeredModels = new RegisteredModels({
    ...ground,
    models,
    promotions,
    artifacts: trackingArtifacts,
    runs: trainingRuns,
    loggedModels,
    recordRemoval: ({ by, at, ...removed }) => [
      auditLog.entry({
        kind: 'model',
        action: 'alias-removed',
        actor: by,
        object: `model:${removed.name}`,
        at,
        payload: removed,
      }),
    ],
  });
  const trainings = new Trainings({
    ...ground,
    models,
    experiments,
    trainingRuns,
    trackingArtifacts,
    trainersFile: process.env.AIOS_TRAINERS || undefined,
    fill(text) {
      const secrets: string[] = [];
      const told = (source: 'env' | 'secrets', name: string) => {
        // The file of trainers is the operator's own, and says which process has what.
        const value = variables(source, name, () => {});
        if (source === 'secrets' && value !== undefined) secrets.push(value);
        return value;
      };
      return { text: compileTemplate(text, ['env', 'secrets']).resolve(told), secrets };
    },
    async openDataset({ name, version = 'latest' }, path) {
      const found = await datasets.version(name, version === 'latest' ? version : Number(version));
      await datasets.writeTo(path, found);
      return { name, version: found.version, digest: found.digest };
    },
    issueKey: (training, ms) => issueKey(access, training, ms),
  });
  return {
    experiments,
    trainingRuns,
    loggedModels,
    trackingArtifacts,
    artifactUploads: new ArtifactUploads(ground, trackingArtifacts),
    artifactCollection: createCollection(ground, auditLog),
    registeredModels,
    trainings,
  };
}

/** A key that is for one training. */
async function issueKey(access: Access, training: TrainingScope, forMs: number) {
  const name = `training ${training.trainingRun}`;
  const { id, key } = await access.createKey(name, ['trainer'], 'aios', [], {
    expiresAt: Date.now() + forMs,
    training,
  });
  return { key, revoke: () => access.revoke(id) };
}

function createCollection(ground: Ground, auditLog: AuditLog): ArtifactCollection {
  return new ArtifactCollection({
    ...ground,
    record: ({ kind, id, at, ...payload }) => [
      auditLog.entry({
        kind: 'training',
        action: 'files-collected',
        actor: { kind: 'system', id: 'aios' },
        object: `${kind}:${id}`,
        at,
        payload,
      }),
    ],
  });
}

/** Takes away, now and then, the files of training that nothing names any more. */
export function collectArtifacts({ artifactCollection, limits, troubles, closers }: Stations): void {
  let running: Promise<unknown> | undefined;
  const timer = setInterval(() => {
    running ??= artifactCollection
      .step()
      .catch(troubles.of('Files of training could not be taken away'))
      .finally(() => {
        running = undefined;
      });
  }, limits.trackingCollectMs);
  closers.push(async () => {
    clearInterval(timer);
    await running;
  });
}
