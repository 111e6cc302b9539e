import { availableParallelism } from 'node:os';
import { Poller } from '../store/poller.ts';
import { START_GROUP } from '../workflow/engine/event-start.ts';
import { measureQuality } from './stations/contracts.ts';
import { expireDatasets } from './stations/datasets.ts';
import { expireRecords } from './stations/retention.ts';
import type { Stations } from './stations/stations.ts';
import { collectArtifacts } from './stations/training.ts';

const DEFINITIONS_POLL_MS = 500; // what another process applied is used here within 1 s

/** Definitions are read, views join the stream, champions are warm: then consumers may run and traffic may come. */
export async function begin(stations: Stations): Promise<void> {
  const {
    consumers,
    replays,
    retention,
    webhooks,
    bridges,
    engine,
    sequencer,
    definitions,
    models,
    views,
    tasks,
    troubles,
    closers,
  } = stations;
  await definitions.reload();
  await models.reload();
  followWithFlows(stations);
  measureQuality(stations);
  await consumers.register();
  await views.sync();
  await warmChampions(stations);
  await stations.rolloutRunner.start();
  closers.push(() => stations.rolloutRunner.stop());
  sequencer.start();
  closers.push(() => sequencer.stop());
  await engine.begin();
  closers.push(() => engine.stop());
  tasks.escalations.start(troubles.of('Tasks could not be escalated'));
  closers.push(() => tasks.escalations.stop());
  await consumers.start();
  closers.push(() => consumers.stop());
  for (const outlet of [webhooks, bridges, replays, retention]) {
    await outlet.start();
    closers.push(() => outlet.stop());
  }
  stations.freshness.begin();
  closers.push(() => stations.freshness.stop());
  if (stations.takesRuns) stations.materializations.begin();
  closers.push(() => stations.materializations.stop());
  if (stations.takesRuns) stations.fileJoins.passes.begin();
  closers.push(() => stations.fileJoins.passes.stop());
  if (stations.takesRuns) stations.datasetBuilds.passes.begin();
  closers.push(() => stations.datasetBuilds.passes.stop());
  await stations.featureExpiry.begin();
  closers.push(() => stations.featureExpiry.stop());
  expireDatasets(stations);
  if (stations.takesRuns) expireRecords(stations);
  if (stations.takesRuns) collectArtifacts(stations);
  await beginLineage(stations);
  followDefinitions(stations);
}

/** The graph is made of what was applied before there was one; what it tells others is sent by processes that do work. */
async function beginLineage({ fillGraph, openLineage, takesRuns, closers }: Stations): Promise<void> {
  await fillGraph();
  if (takesRuns) openLineage.begin();
  closers.push(() => openLineage.stop());
}

/** What other processes applied is read when the database tells of it; a view that is being built is watched, so that one which stands still goes on. */
function followDefinitions({ definitions, models, views, changes, troubles, closers }: Stations): void {
  const poller = new Poller({
    async look() {
      const [, , isBuilding] = await Promise.all([definitions.reload(), models.reload(), views.refresh()]);
      return isBuilding ? DEFINITIONS_POLL_MS : undefined;
    },
    pollMs: DEFINITIONS_POLL_MS,
    changes,
    tables: ['definitions_revision', 'model_versions', 'model_aliases', 'feature_views'],
    onError: troubles.of('Definitions could not be read again'),
  });
  poller.begin();
  closers.push(() => poller.stop());
}

/** Flows that events start, and runs that listen for them. */
function followWithFlows({ consumers, definitions, engine, takesRuns }: Stations): void {
  const starts = consumers.add({
    group: START_GROUP,
    types: () => engine.startTypes(),
    definitions,
    takesPart: takesRuns, // without it, it still takes its dead letters again
    room: () => engine.room(),
    pauseMs: () => engine.startPauseMs(),
    handle: (events, tx, onRollback) => engine.startFromEvents(events, tx, { onRollback }),
  });
  engine.onRoom(() => starts.wake());
  consumers.add({
    group: 'listeners',
    // It takes all: a run of another process may have begun to listen for a type that is not known here.
    wakesOn: () => engine.listenTypes(),
    handle: (events, tx) => engine.deliver(events, tx),
  });
}

/**
 * As many at a time as there are cores: processes that all start at once hold up each other and the database, and measure their batches against each
 * other. Those of other servers only wait.
 */
async function warmChampions({ models, serving, troubles }: Stations): Promise<void> {
  const champions = models.list().flatMap(({ name, aliases, versions }) => {
    const champion = versions.find(({ version }) => version === aliases.champion);
    return champion?.status === 'ready' ? [{ name, isRemote: champion.endpoint !== undefined }] : [];
  });
  // One that cannot be loaded (its server is away, no room, no GPU) is tried again by its next request, and the others serve.
  const warm = ({ name }: { name: string }) =>
    serving.load(name).catch(troubles.of(`The model ${name} is not ready`, 'error'));
  const [remote, here] = [
    champions.filter(({ isRemote }) => isRemote),
    champions.filter(({ isRemote }) => !isRemote),
  ];
  const inTurn = async () => {
    for (let next = here.shift(); next; next = here.shift()) await warm(next);
  };
  await Promise.all([...remote.map(warm), ...Array.from({ length: availableParallelism() }, inTurn)]);
}
