import type { AuditLog } from '../../ledger/audit.ts';
import type { Models } from '../../models/models.ts';
import { Promotions } from '../../models/promotions.ts';
import { RolloutRunner } from '../../models/rollout-runner.ts';
import { Rollouts, type RolloutTraffic } from '../../models/rollouts.ts';
import type { RolloutRouter } from '../../serving/traffic/rollout-router.ts';
import { sideOf } from '../../serving/traffic/rollout-split.ts';
import type { Serving } from '../../serving/traffic/serving.ts';
import type { Definitions } from '../../store/definitions.ts';
import type { Ground } from './ground.ts';

interface Surroundings {
  readonly models: Models;
  readonly serving: Serving;
  readonly router: RolloutRouter;
  readonly definitions: Definitions;
  readonly auditLog: AuditLog;
}

/** Who may give a version traffic, the rollouts that try one, and what runs them here. */
export function createRollouts(
  ground: Ground,
  { models, serving, router, definitions, auditLog }: Surroundings,
) {
  const traffic: RolloutTraffic = {
    prepare: (model, version) => serving.load(model, version),
    put: (splits) => router.put(splits),
    drain: () => router.drain(),
    sideOf,
  };
  const promotions = new Promotions({
    ...ground,
    definitions,
    models,
    record: ({ action, model, by, at, ...payload }) => [
      auditLog.entry({
        kind: 'model',
        action,
        actor: by,
        object: `model:${model}`,
        at,
        payload: { name: model, ...payload },
      }),
    ],
  });
  const rollouts = new Rollouts({
    ...ground,
    models,
    traffic,
    approvals: promotions,
    record: ({ action, rollout, by, at, reason, figures }) => [
      auditLog.entry({
        kind: 'model',
        action,
        actor: by,
        object: `model:${rollout.model}`,
        at,
        payload: JSON.parse(JSON.stringify({ name: rollout.model, rollout, reason, figures })),
      }),
    ],
  });
  const rolloutRunner = new RolloutRunner({
    ...ground,
    rollouts,
    models,
    traffic,
    onError: ground.troubles.of('A rollout could not be followed'),
  });
  return { promotions, rollouts, rolloutRunner };
}
