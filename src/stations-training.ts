import type { AuditLog } from './ledger/audit.ts';
import type { Models } from './models/models.ts';
import type { Promotions } from './models/promotions.ts';
import { TrackingArtifacts } from './models/tracking/artifacts.ts';
import { Experiments } from './models/tracking/experiments.ts';
import { LoggedModels } from './models/tracking/logged-models.ts';
import { RegisteredModels } from './models/tracking/registry.ts';
import { TrainingRuns } from './models/tracking/training-runs.ts';
import type { Ground } from './stations.ts';

/** Experiments and what is registered from them. */
export function createTracking(
  ground: Ground,
  { models, promotions, auditLog }: { models: Models; promotions: Promotions; auditLog: AuditLog },
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
  return { experiments, trainingRuns, loggedModels, trackingArtifacts, registeredModels };
}
