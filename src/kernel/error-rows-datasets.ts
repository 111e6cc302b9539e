import { type ErrorRow, row } from './error-row.ts';

/** Errors of datasets and their versions. */
export const DATASET_ERRORS = {
  'datasets.unknown_dataset': row(
    404,
    'There is no such dataset',
    'List them (aios datasets list, or /api/v1/datasets), or apply the project that defines it.',
    'The page “Datasets” lists them; or apply the project that defines it.',
  ),
  'datasets.unknown_version': row(
    404,
    'The dataset has no such version',
    'List the versions of the dataset, or make one first.',
  ),
  'datasets.deleted': row(
    410,
    'The version of the dataset was deleted',
    'The record of its sources can still be read; make a new version, or use another one.',
  ),
  'datasets.in_use': row(
    409,
    'A model version refers to this version of the dataset',
    'Keep it: the model could not be reproduced without it. `models` in the answer lists the models.',
    'Keep it: the model could not be reproduced without it. Its page says which models were trained on it.',
  ),
  'datasets.entity_rows': row(
    422,
    'The entity rows cannot be used',
    'The detail says why: each row needs a `timestamp`, the join keys of the views and the labels, and no column may have the name of a feature.',
  ),
  'datasets.unknown_build': row(
    404,
    'There is no such dataset build',
    'List the builds: aios datasets builds, or /api/v1/dataset-builds.',
    'The page of the dataset lists its builds.',
  ),
  'datasets.build_ended': row(409, 'The dataset build has ended', 'Start a new one if you still need it.'),
} as const satisfies Record<string, ErrorRow>;
