import { countEvents } from '../../events/count.ts';
import type { EventLog } from '../../events/log.ts';
import { DatasetBuilds } from '../../features/datasets/dataset-builds.ts';
import { datasetVersionLineage } from '../../features/datasets/dataset-lineage.ts';
import { Datasets } from '../../features/datasets/datasets.ts';
import type { FeatureStore } from '../../features/feature-store.ts';
import type { FeatureViews } from '../../features/views.ts';
import type { AuditLog } from '../../ledger/audit.ts';
import { lineageWrite } from '../../ledger/lineage-graph/graph-lane.ts';
import type { DatasetsOfModels } from '../../models/datasets.ts';
import type { Models } from '../../models/models.ts';
import type { Definitions } from '../../store/definitions.ts';
import type { Write } from '../../store/lane.ts';
import type { Ground } from './ground.ts';
import type { Stations } from './stations.ts';

interface Surroundings {
  definitions: Definitions;
  log: EventLog;
  views: FeatureViews;
  features: FeatureStore;
  auditLog: AuditLog;
}

/** Events of a page of the log when a dataset is made of them. */
const PAGE_EVENTS = 500;
const AIOS = { kind: 'system', id: 'aios' };

/** Snapshots of history, made of features and, where their definition says so, of events. */
export function createDatasets(
  { db, commit, changes, clock, limits, troubles }: Ground,
  { definitions, log, views, features, auditLog }: Surroundings,
): { datasets: Datasets; datasetBuilds: DatasetBuilds } {
  const datasets = new Datasets({
    db,
    commit,
    clock,
    limits,
    definitions,
    record: ({ action, dataset, by, at, ...payload }) => [
      ...(action === 'version-made' ? [versionWrite(dataset, payload.version)] : []),
      auditLog.entry({
        kind: 'dataset',
        action,
        actor: by,
        object: `dataset:${dataset}`,
        at,
        payload: { dataset, ...payload },
      }),
    ],
  });
  const datasetBuilds = new DatasetBuilds({
    db,
    commit,
    clock,
    limits,
    changes,
    datasets,
    definitions,
    views,
    features,
    // From the newest backwards: what comes meanwhile shifts no page, and a dataset is put in order in the end.
    async *readEvents({ type, filter }) {
      for (let before: string | null | undefined; before !== null; ) {
        const page = await log.search({ type, filter, before, limit: PAGE_EVENTS });
        yield page.items;
        before = page.nextCursor;
      }
    },
    countEvents: (type) => countEvents(db, [type]),
    onError: troubles.of('A dataset waits'),
  });
  return { datasets, datasetBuilds };
}

/** The version in the graph of lineage. */
function versionWrite(dataset: string, version: number): Write {
  const source = `dataset:${dataset}@${version}`;
  return lineageWrite({ source, version: 0, ...datasetVersionLineage(dataset, version) });
}

/** How the registry of models knows datasets. */
export function datasetsOfModels(datasets: Datasets): DatasetsOfModels {
  return {
    settle: (named) =>
      Promise.all(
        named.map(async ({ name, version }) => {
          const { digest } = await datasets.version(name, version);
          return { name, version, digest };
        }),
      ),
    use: (model, dataset) => datasets.use(model, dataset),
  };
}

/** Deletes, now and then, what the retention of its dataset has passed. */
export function expireDatasets({ datasets, limits, troubles, closers }: Stations): void {
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= datasets
      .deleteExpired(AIOS)
      .catch(troubles.of('Versions of datasets could not be deleted'))
      .finally(() => {
        running = undefined;
      });
  }, limits.datasetRetentionPassMs);
  closers.push(async () => {
    clearInterval(timer);
    await running;
  });
}

type Pin = { kind: string; name: string; version: string; digest?: string };

/** Pins of a run with the datasets that its models were trained on: of what it was made with they are a part. */
export function withDatasets<P extends Pin>(
  models: Pick<Models, 'datasetsOf'>,
  pins: readonly P[],
): readonly (P | Pin)[] {
  const named = new Map<string, Pin>();
  for (const { kind, name, version } of pins) {
    if (kind !== 'model') continue;
    for (const dataset of models.datasetsOf(name, Number(version)))
      named.set(`${dataset.name}@${dataset.version}`, {
        kind: 'dataset',
        ...dataset,
        version: String(dataset.version),
      });
  }
  return named.size === 0 ? pins : [...pins, ...named.values()];
}
