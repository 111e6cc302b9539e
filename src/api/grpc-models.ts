import type { JsonObject } from '../kernel/json.ts';
import { modelConfig } from '../serving/protocol/model-config.ts';
import { modelMetadata } from '../serving/protocol/open-inference.ts';
import type { Serving } from '../serving/traffic/serving.ts';
import { ModelRepository, type RepositoryDependencies, refuseFiles } from './model-repository.ts';
import type { Caller } from './routes.ts';

interface Named {
  readonly name: string;
  readonly version: string;
}
interface OfRepository {
  readonly model_name: string;
  readonly parameters: object;
}

export interface GrpcModelsDependencies extends RepositoryDependencies {
  readonly serving: RepositoryDependencies['serving'] & Pick<Serving, 'statistics'>;
}

/** A model's configuration as its message. */
export type ConfigMessage = (config: JsonObject) => object;

/** What gRPC tells of the models: ready, metadata, configuration, statistics, and the repository. */
export class GrpcModels {
  readonly #deps: GrpcModelsDependencies;
  readonly #repository: ModelRepository;
  readonly #configMessage: ConfigMessage;

  constructor(dependencies: GrpcModelsDependencies, configMessage: ConfigMessage) {
    this.#deps = dependencies;
    this.#repository = new ModelRepository(dependencies);
    this.#configMessage = configMessage;
  }

  /** @throws AiosError `models.unknown_model`, `models.unknown_version`, as the others do */
  readonly ready = ({ name, version }: Named) => ({
    ready: this.#deps.serving.isReady(name, version || undefined),
  });

  readonly metadata = ({ name, version }: Named) => {
    const { models } = this.#deps;
    const model = models.resolve(name, version || undefined);
    return modelMetadata(
      model,
      models.get(name).versions.map((each) => each.version),
    );
  };

  readonly config = ({ name, version }: Named) => ({
    config: this.#configMessage(modelConfig(this.#deps.models.resolve(name, version || undefined))),
  });

  readonly statistics = ({ name, version }: Named) => ({
    model_stats: this.#repository.statistics(name || undefined, version || undefined),
  });

  readonly index = ({ ready }: { readonly ready: boolean }) => ({ models: this.#repository.index(ready) });

  readonly load = async ({ model_name, parameters }: OfRepository, _: unknown, caller: Caller) => {
    refuseFiles('load', parameters);
    await this.#repository.load(model_name, caller);
    return {};
  };

  readonly unload = async ({ model_name }: OfRepository, _: unknown, caller: Caller) => {
    await this.#repository.unload(model_name, caller);
    return {};
  };
}
