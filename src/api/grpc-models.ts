import type { Models } from '../models/models.ts';
import { protocolStatistics } from '../serving/hosting/protocol-statistics.ts';
import { modelMetadata } from '../serving/protocol/open-inference.ts';
import type { Tensor } from '../serving/tensors/tensor.ts';
import type { Serving } from '../serving/traffic/serving.ts';

interface Named {
  readonly name: string;
  readonly version: string;
}

/** What the door needs of the registry. */
export type GrpcRegistry = Pick<Models, 'resolve' | 'list'>;

/** What gRPC tells of the models: ready, metadata, configuration, statistics, and the repository. */
export class GrpcModels {
  readonly #models: GrpcRegistry;
  readonly #serving: Serving;

  constructor(models: GrpcRegistry, serving: Serving) {
    this.#models = models;
    this.#serving = serving;
  }

  /** @throws AiosError `models.unknown_model`, `models.unknown_version`, as the others do */
  readonly ready = ({ name, version }: Named) => ({
    ready: this.#serving.isReady(name, version || undefined),
  });

  readonly metadata = ({ name, version }: Named) => {
    const model = this.#models.resolve(name, version || undefined);
    return modelMetadata(model, [model.version]);
  };

  /** As much of Triton's configuration as there is here. The batch dimension is not in its `dims`. */
  readonly config = ({ name, version }: Named) => {
    const { signature, serving, runtime } = this.#models.resolve(name, version || undefined);
    const batches = signature.inputs.every(({ shape }) => shape[0] === -1);
    const tensor = ({ name: of, datatype, shape }: Pick<Tensor, 'name' | 'datatype' | 'shape'>) => ({
      name: of,
      data_type: TRITON_TYPE[datatype],
      dims: batches ? shape.slice(1) : shape,
    });
    const config = {
      name,
      platform: PLATFORM[runtime] ?? runtime,
      backend: runtime,
      max_batch_size: batches ? serving.batchMax : 0,
      input: signature.inputs.map(tensor),
      output: signature.outputs.map(tensor),
    };
    return { config };
  };

  readonly statistics = ({ name, version }: Named) => {
    if (name) this.#models.resolve(name, version || undefined);
    const all = Object.entries(this.#serving.statistics()).map(([label, statistics]) => {
      const slash = label.lastIndexOf('/');
      return { name: label.slice(0, slash), version: label.slice(slash + 1), statistics };
    });
    const wanted = all.filter(
      (each) => (!name || each.name === name) && (!version || each.version === version),
    );
    const stats = wanted.map((each) =>
      protocolStatistics(each.name, each.version, each.statistics, each.statistics.cache),
    );
    return { model_stats: stats };
  };

  readonly index = ({ ready }: { ready: boolean }) => {
    const entries = this.#models.list().flatMap(({ name, versions }) =>
      versions.map(({ version }) => {
        const isReady = this.#serving.isReady(name, version);
        return { name, version: String(version), state: isReady ? 'READY' : 'UNAVAILABLE', reason: '' };
      }),
    );
    return { models: ready ? entries.filter(({ state }) => state === 'READY') : entries };
  };

  readonly load = async ({ model_name }: { model_name: string }) => {
    await this.#serving.load(model_name);
    return {};
  };
}

/** Numbers of `DataType` in the configuration's message. */
const TRITON_TYPE: Readonly<Record<Tensor['datatype'], number>> = {
  BOOL: 1,
  UINT8: 2,
  UINT16: 3,
  UINT32: 4,
  UINT64: 5,
  INT8: 6,
  INT16: 7,
  INT32: 8,
  INT64: 9,
  FP16: 10,
  FP32: 11,
  FP64: 12,
  BYTES: 13,
  BF16: 14,
};
const PLATFORM: Readonly<Record<string, string>> = { onnx: 'onnx_onnxv1' };
