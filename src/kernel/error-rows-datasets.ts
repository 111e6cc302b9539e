import { type ErrorRow, row } from './error-row.ts';

/** Errors of datasets and their versions. */
export const DATASET_ERRORS = {
  'datasets.unknown_dataset': row(
    404,
    'There is no such dataset',
    'List them at /api/v1/datasets, or apply the project that defines it.',
  ),
  'datasets.unknown_version': row(
    404,
    'The dataset has no such version',
    'List the versions of the dataset, or make one first.',
  ),
  'datasets.deleted': row(
    410,
    'The version of the dataset was deleted',
    'What it was made of is still told; make a version anew, or take another one.',
  ),
  'datasets.in_use': row(
    409,
    'A model version names this version of the dataset',
    'Keep it: the model could not be made again without it. `models` in the answer says which.',
  ),
  'datasets.entity_rows': row(
    422,
    'The entity rows cannot be used',
    'The detail says why: each row needs its `timestamp`, the join keys of the views and the labels, and no name of a feature.',
  ),
  'datasets.unknown_build': row(
    404,
    'Nobody asked for such a version of a dataset',
    'List those that were asked for at /api/v1/dataset-builds.',
  ),
  'datasets.build_ended': row(
    409,
    'The version of the dataset is not being made any more',
    'Ask for another one when it is wanted again.',
  ),
} as const satisfies Record<string, ErrorRow>;
