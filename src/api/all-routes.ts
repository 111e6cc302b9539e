import type { FastifyInstance } from 'fastify';
import { accessRoutes } from './routes-access.ts';
import { bridgeRoutes } from './routes-bridges.ts';
import { budgetRoutes } from './routes-budgets.ts';
import { bulkRoutes } from './routes-bulk.ts';
import { contractRoutes } from './routes-contracts.ts';
import { datasetBuildRoutes } from './routes-dataset-builds.ts';
import { datasetFileRoutes } from './routes-dataset-files.ts';
import { datasetRoutes } from './routes-datasets.ts';
import { definitionRoutes } from './routes-definitions.ts';
import { eventStreamRoutes } from './routes-event-stream.ts';
import { eventRoutes } from './routes-events.ts';
import { experimentRoutes } from './routes-experiments.ts';
import { featureJoinRoutes } from './routes-feature-joins.ts';
import { featurePassRoutes } from './routes-feature-passes.ts';
import { featureProfileRoutes } from './routes-feature-profiles.ts';
import { featureViewRoutes } from './routes-feature-views.ts';
import { featureRoutes } from './routes-features.ts';
import { flowRoutes } from './routes-flows.ts';
import { inferenceRequestRoutes } from './routes-inference-requests.ts';
import { ledgerRoutes } from './routes-ledger.ts';
import { lineageRoutes } from './routes-lineage.ts';
import { liveRoutes } from './routes-live.ts';
import { mlflowArtifactRoutes } from './routes-mlflow-artifacts.ts';
import { mlflowModelRoutes } from './routes-mlflow-models.ts';
import { mlflowRegistryRoutes } from './routes-mlflow-registry.ts';
import { mlflowTrackingRoutes } from './routes-mlflow-tracking.ts';
import { mlflowUploadRoutes } from './routes-mlflow-uploads.ts';
import { modelRoutes } from './routes-models.ts';
import { openAiRoutes } from './routes-openai.ts';
import { promotionRoutes } from './routes-promotions.ts';
import { qualityRoutes } from './routes-quality.ts';
import { quantizationRoutes } from './routes-quantization.ts';
import { quarantineRoutes } from './routes-quarantine.ts';
import { replayRoutes } from './routes-replays.ts';
import { repositoryRoutes } from './routes-repository.ts';
import { rolloutRoutes } from './routes-rollouts.ts';
import { runQueueRoutes } from './routes-run-queues.ts';
import { runRoutes } from './routes-runs.ts';
import { scheduleRoutes } from './routes-schedules.ts';
import { schemaRegistryRoutes } from './routes-schema-registry.ts';
import { servingRoutes } from './routes-serving.ts';
import { startRoutes } from './routes-start.ts';
import { systemRoutes } from './routes-system.ts';
import { taskAmendRoutes } from './routes-task-amend.ts';
import { taskAttachmentRoutes } from './routes-task-attachments.ts';
import { taskHandingRoutes } from './routes-task-handing.ts';
import { taskNoteRoutes } from './routes-task-notes.ts';
import { taskRoutes } from './routes-tasks.ts';
import { trainingRoutes } from './routes-training.ts';
import { unservedRoutes } from './routes-unserved.ts';
import { webhookRoutes } from './routes-webhooks.ts';

/** What the routes need, all together. */
export type ApiDependencies = Parameters<typeof accessRoutes>[0] &
  Parameters<typeof definitionRoutes>[0] &
  Parameters<typeof contractRoutes>[0] &
  Parameters<typeof quarantineRoutes>[0] &
  Parameters<typeof eventRoutes>[0] &
  Parameters<typeof featureRoutes>[0] &
  Parameters<typeof featureJoinRoutes>[0] &
  Parameters<typeof featurePassRoutes>[0] &
  Parameters<typeof featureViewRoutes>[0] &
  Parameters<typeof featureProfileRoutes>[0] &
  Parameters<typeof datasetRoutes>[0] &
  Parameters<typeof datasetFileRoutes>[0] &
  Parameters<typeof datasetBuildRoutes>[0] &
  Parameters<typeof flowRoutes>[0] &
  Parameters<typeof inferenceRequestRoutes>[0] &
  Parameters<typeof ledgerRoutes>[0] &
  Parameters<typeof lineageRoutes>[0] &
  Parameters<typeof liveRoutes>[0] &
  Parameters<typeof modelRoutes>[0] &
  Parameters<typeof mlflowArtifactRoutes>[0] &
  Parameters<typeof mlflowModelRoutes>[0] &
  Parameters<typeof mlflowRegistryRoutes>[0] &
  Parameters<typeof mlflowTrackingRoutes>[0] &
  Parameters<typeof mlflowUploadRoutes>[0] &
  Parameters<typeof eventStreamRoutes>[0] &
  Parameters<typeof replayRoutes>[0] &
  Parameters<typeof repositoryRoutes>[0] &
  Parameters<typeof promotionRoutes>[0] &
  Parameters<typeof quantizationRoutes>[0] &
  Parameters<typeof rolloutRoutes>[0] &
  Parameters<typeof openAiRoutes>[0] &
  Parameters<typeof budgetRoutes>[0] &
  Parameters<typeof runQueueRoutes>[0] &
  Parameters<typeof runRoutes>[0] &
  Parameters<typeof scheduleRoutes>[0] &
  Parameters<typeof bulkRoutes>[0] &
  Parameters<typeof servingRoutes>[0] &
  Parameters<typeof startRoutes>[0] &
  Parameters<typeof systemRoutes>[0] &
  Parameters<typeof taskRoutes>[0] &
  Parameters<typeof qualityRoutes>[0] &
  Parameters<typeof bridgeRoutes>[0] &
  Parameters<typeof trainingRoutes>[0] &
  Parameters<typeof webhookRoutes>[0];

/** Collections of `/api/v1/<collection>` and the kind of definition that each holds. */
export const COLLECTIONS = {
  contracts: 'contract',
  entities: 'entity',
  'feature-views': 'feature-view',
  'feature-services': 'feature-service',
  'dataset-definitions': 'dataset',
  'model-definitions': 'model',
  decisions: 'decision',
  workflows: 'workflow',
  connectors: 'connector',
  bridges: 'bridge',
  calendars: 'calendar',
  'run-queues': 'run-queue',
  queues: 'queue',
  'lineage-sinks': 'lineage-sink',
} as const;

/** Every route of the API. What a route needs is used when it is called, so that the document can be made of nothing. */
export function allRoutes(dependencies: ApiDependencies): ((server: FastifyInstance) => void)[] {
  return [
    systemRoutes(dependencies),
    accessRoutes(dependencies),
    definitionRoutes(dependencies),
    contractRoutes(dependencies),
    quarantineRoutes(dependencies),
    schemaRegistryRoutes(dependencies),
    eventRoutes(dependencies),
    eventStreamRoutes(dependencies),
    replayRoutes(dependencies),
    webhookRoutes(dependencies),
    bridgeRoutes(dependencies),
    featureRoutes(dependencies),
    featureJoinRoutes(dependencies),
    featurePassRoutes(dependencies),
    featureViewRoutes(dependencies),
    featureProfileRoutes(dependencies),
    datasetRoutes(dependencies),
    datasetFileRoutes(dependencies),
    datasetBuildRoutes(dependencies),
    modelRoutes(dependencies),
    experimentRoutes(dependencies),
    mlflowTrackingRoutes(dependencies),
    mlflowModelRoutes(dependencies),
    mlflowRegistryRoutes(dependencies),
    mlflowArtifactRoutes(dependencies),
    mlflowUploadRoutes(dependencies),
    promotionRoutes(dependencies),
    quantizationRoutes(dependencies),
    rolloutRoutes(dependencies),
    inferenceRequestRoutes(dependencies),
    servingRoutes(dependencies),
    repositoryRoutes(dependencies),
    unservedRoutes(),
    openAiRoutes(dependencies),
    budgetRoutes(dependencies),
    startRoutes(dependencies),
    runQueueRoutes(dependencies),
    runRoutes(dependencies),
    trainingRoutes(dependencies),
    scheduleRoutes(dependencies),
    bulkRoutes(dependencies),
    flowRoutes(dependencies),
    taskRoutes(dependencies),
    taskHandingRoutes(dependencies),
    taskAmendRoutes(dependencies),
    qualityRoutes(dependencies),
    taskNoteRoutes(dependencies),
    taskAttachmentRoutes(dependencies),
    ledgerRoutes(dependencies),
    lineageRoutes(dependencies),
    liveRoutes(dependencies),
  ];
}
