import { AiosError } from '../kernel/errors.ts';
import type { Write } from '../store/lane.ts';

/** A version of a dataset that a model was trained on; its digest is that of the file. */
export interface ModelDataset {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
}

/** A version of a dataset as a registration names it. */
export type NamedDataset = Pick<ModelDataset, 'name' | 'version'>;

/** What the registry needs of the datasets. */
export interface DatasetsOfModels {
  /** With their digests. @throws AiosError when there is no such version */
  settle(named: readonly NamedDataset[]): Promise<ModelDataset[]>;
  /** The write that ties a version of a model to the dataset, in the commit of the former: it is refused when the dataset was deleted. */
  use(model: NamedDataset, dataset: NamedDataset): Write;
}

export const DATASETS_SCHEMA = {
  type: 'array',
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['name', 'version'],
    properties: { name: { type: 'string', minLength: 1 }, version: { type: 'integer', minimum: 1 } },
  },
};

/** A registry that knows no datasets. */
export const NO_DATASETS: DatasetsOfModels = {
  settle: async ([named]) => {
    throw new AiosError('datasets.unknown_dataset', { detail: `There is no dataset “${named?.name}”.` });
  },
  use: ({ name }) => {
    throw new AiosError('datasets.unknown_dataset', {
      detail: `The model “${name}” can name no datasets here.`,
    });
  },
};
