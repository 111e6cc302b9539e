import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { AuditLog } from '../ledger/audit.ts';
import { modelStatistics } from '../serving/protocol/statistics.ts';
import type { ModelReference, ModelSource, Serving } from '../serving/traffic/serving.ts';
import type { Committer } from '../store/group-commit.ts';
import { actorOf, type Caller } from './routes.ts';

/** What the protocol asks of the registry. */
export interface ModelVersions extends Pick<ModelSource, 'resolve'> {
  /** The newest version first. @throws AiosError `models.unknown_model` */
  get(name: string): {
    readonly name: string;
    readonly versions: readonly {
      readonly version: number;
      readonly status?: string;
      readonly endpoint?: JsonObject;
    }[];
  };
  list(): ReturnType<ModelVersions['get']>[];
}

export interface RepositoryDependencies {
  models: ModelVersions;
  serving: Pick<Serving, 'isReady' | 'load' | 'unload' | 'statistics'>;
  commit: Committer;
  clock: Clock;
  auditLog: Pick<AuditLog, 'entry'>;
}

/** A version in the repository's index; the states are Triton's. */
export interface IndexEntry {
  readonly name: string;
  readonly version: string;
  readonly state: 'READY' | 'UNAVAILABLE';
  readonly reason: string;
}

/** The model repository as the protocol's clients see it, whatever their door: which versions there are, and which are in memory. */
export class ModelRepository {
  readonly #deps: RepositoryDependencies;

  constructor(dependencies: RepositoryDependencies) {
    this.#deps = dependencies;
  }

  /** Every version of every model, the newest first. */
  index(readyOnly: boolean): IndexEntry[] {
    const { models, serving } = this.#deps;
    const entries = models.list().flatMap(({ name, versions }) =>
      versions.map(({ version, status, endpoint }): IndexEntry => {
        const isServable = status !== 'files';
        const isReady = isServable && serving.isReady(name, version);
        const why = isServable ? 'not loaded; the next request loads it' : String(endpoint?.reason);
        return {
          name,
          version: String(version),
          state: isReady ? 'READY' : 'UNAVAILABLE',
          reason: isReady ? '' : why,
        };
      }),
    );
    return readyOnly ? entries.filter(({ state }) => state === 'READY') : entries;
  }

  /** Starts and warms the replicas of a model's champion. @throws AiosError `models.unknown_model`, `serving.unavailable` */
  async load(name: string, by: Caller): Promise<void> {
    const { models, serving } = this.#deps;
    const { version } = models.resolve(name);
    await serving.load(name, version);
    await this.#record('loaded', name, [version], by);
  }

  /**
   * Ends the replicas of all versions of a model, once they have answered what they took. The next request loads the version that it
   * needs again: who wants a model to answer no more takes its permission or its alias away.
   *
   * @throws AiosError `models.unknown_model`
   */
  async unload(name: string, by: Caller): Promise<void> {
    const { models, serving } = this.#deps;
    models.get(name);
    const versions = await serving.unload(name);
    await this.#record('unloaded', name, versions, by);
  }

  /**
   * What versions have done since they were loaded: of one model (all its versions that are loaded, or one), or of all that are loaded.
   *
   * @throws AiosError `models.unknown_model`, `models.unknown_version`
   */
  statistics(name?: string, reference?: ModelReference): JsonObject[] {
    const { models, serving } = this.#deps;
    const counted = serving.statistics();
    if (name !== undefined && reference !== undefined) {
      const { version } = models.resolve(name, reference);
      return [modelStatistics(name, version, counted[`${name}/${version}`])];
    }
    const all = name === undefined ? models.list() : [models.get(name)];
    return all.flatMap((model) =>
      model.versions
        .filter(({ version }) => counted[`${model.name}/${version}`])
        .map(({ version }) => modelStatistics(model.name, version, counted[`${model.name}/${version}`])),
    );
  }

  async #record(action: 'loaded' | 'unloaded', name: string, versions: number[], by: Caller): Promise<void> {
    const { commit, clock, auditLog } = this.#deps;
    await commit.commit([
      auditLog.entry({
        kind: 'model',
        action,
        actor: actorOf(by),
        object: `model:${name}`,
        at: clock.now(),
        payload: { name, versions },
      }),
    ]);
  }
}

/** A version by its number, or an alias. */
export function referenceOf(version: string | undefined): ModelReference {
  return version !== undefined && /^[1-9]\d*$/.test(version) ? Number(version) : version;
}

/**
 * Files and configurations come by the registry, where they are checked and kept; a load that ignored them would load something else.
 *
 * @throws AiosError `serving.parameter_refused`
 */
export function refuseFiles(action: string, parameters: object): void {
  const refused = Object.keys(parameters).find((name) => name === 'config' || name.startsWith('file:'));
  if (refused === undefined) return;
  throw new AiosError('serving.parameter_refused', {
    detail: `The parameter ${refused.slice(0, 60)} of ${action} is not served: versions are registered at /api/v1/models/{name}/versions.`,
  });
}
