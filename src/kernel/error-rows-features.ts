import { again, type ErrorRow, row } from './error-row.ts';

/** Errors of features: their views, their sources and the vectors made of them. */
export const FEATURE_ERRORS = {
  'features.unknown_service': row(
    404,
    'There is no such feature service',
    'Apply the project that defines it.',
  ),
  'features.building': again(
    503,
    'A feature view is still being built from the log',
    'Try again in a moment; the build goes on by itself.',
  ),
  'features.first_pass': again(
    503,
    'A version of a batch view waits for its first materialization',
    'Materialize the view (aios features materialize, or POST /api/v1/feature-views/{name}/materialize), then ask again; questions about the past are answered already.',
  ),
  'features.missing_key': row(
    422,
    'A join key is missing',
    'Give a value (or null) for every join key of the views of the service.',
  ),
  'features.invalid_key': row(
    422,
    'A join key is not a plain value',
    'Give a text, a number up to 2^53 (longer ones as text) or a boolean as a key, or correct the view’s expression for it.',
  ),
  'features.no_cutoff': row(
    422,
    'A view cannot tell what had been recorded by a time',
    'Give the view that the detail names a “created” column, or, where it has a “tile”, a “lateness”; or ask without the cut-off.',
  ),
  'features.unknown_view': row(
    404,
    'There is no such feature view',
    'List them (aios features list, or /api/v1/feature-views), or apply the project that defines it.',
  ),
  'features.not_materialized': row(
    422,
    'The view is not one that is materialized',
    'Name a batch view that is online: rows are pushed to the others, or stay in their table.',
  ),
  'features.materializing': again(
    409,
    'The view is being materialized',
    'Wait for the pass under way (/api/v1/features/materializations), then ask again.',
  ),
  'features.unknown_materialization': row(
    404,
    'There is no such materialization',
    'List them at /api/v1/features/materializations.',
  ),
  'features.unknown_profile': row(
    404,
    'There is no such reference profile',
    'List them at /api/v1/features/profiles, or save one first.',
  ),
  'features.profile_source': row(
    422,
    'The profile does not say what is to be compared with it',
    'Send a `view`, or a `service` with its `spine`.',
  ),
  'features.state_gone': row(
    422,
    'The view no longer keeps the state for vectors that old',
    'Ask for a later time (the detail says from when on the view answers), or give the view a longer “retention” before it is needed.',
  ),
  'features.backfill_gone': row(
    422,
    'The log no longer has all events of the range',
    'Begin the range later: the detail says from when on the log is whole.',
  ),
  'features.unknown_push': row(
    404,
    'No feature view takes what is pushed under that name',
    'Name the “push” source of a view, or apply a view with that source first.',
  ),
  'features.invalid_value': row(
    422,
    'A value is not of the type that its feature declares',
    'Send or compute a value of that type, or correct the type in the definition of the view.',
  ),
  'features.missing_request': row(
    422,
    'A computed feature needs a value of the request',
    'Send it in “request” (null where there is none): an on-demand view declares what it needs, a derived feature names it.',
  ),
  'features.unknown_function': row(
    422,
    'A computed feature calls a function that this program does not register',
    'Pass the function as `featureFunctions` where the program starts AIOS, in every process; or give the view its functions as TypeScript (“module”).',
  ),
  'features.function_failed': row(
    422,
    'A function of an on-demand view threw an error',
    'Correct the code of the view, or what it was given: the detail says which function, of which row, and its error.',
  ),
  'features.function_stopped': row(
    422,
    'The functions of an on-demand view were stopped: they took too long, or too much memory',
    'Let them do less, or raise the limit that the detail names.',
  ),
  'features.source_not_allowed': row(
    403,
    'The operator does not allow that schema, or that folder, as a source of features',
    'Name the schema in AIOS_FEATURE_SCHEMAS, or the folder in AIOS_FEATURE_FOLDERS (lists separated by commas), and start again.',
  ),
  'features.source_unfit': row(
    422,
    'The table, or the file, is not what the batch view says',
    'Correct the view, or its source: the detail says what is missing.',
  ),
  'features.file_not_allowed': row(
    403,
    'The operator does not allow files in that place',
    'Name the folder in AIOS_FEATURE_FOLDERS (a list separated by commas) and start again.',
  ),
  'features.entities_unfit': row(
    422,
    'The file of entities is not what a historical join needs',
    'Name a file that is there, with a column for each join key and one with the time of each row: the detail says what is missing.',
  ),
  'features.file_exists': row(
    409,
    'A file of that name exists already',
    'Name another file to write: files are never overwritten.',
  ),
  'features.unknown_join': row(
    404,
    'There is no such historical join',
    'List them: aios features joins, or /api/v1/features/joins.',
  ),
  'features.join_ended': row(
    409,
    'The historical join has ended',
    'Ask for a new one when it is wanted again.',
  ),
  'features.pass_given_up': row(
    500,
    'Several processes ended while they worked on it',
    'Find out why, most likely a lack of memory: lower offlineMemoryBytesMax in AIOS_LIMITS, or give them more. Then ask for it again.',
  ),
  'features.offline_failed': row(
    422,
    'A job over files failed',
    'The detail says why. For more memory or disk raise offlineMemoryBytesMax or offlineSpillBytesMax in AIOS_LIMITS.',
  ),
  'features.offline_canceled': row(
    409,
    'The job over files was stopped before it was done',
    'Start it again if it is still wanted.',
  ),
  'features.offline_only': row(
    422,
    'A view of the service is for history only',
    'Set “online: true” in the view and materialize it, or ask for historical vectors.',
  ),
  'features.not_a_number': row(
    422,
    'A feature that adds numbers was given something else',
    'Correct the feature’s “of”, or let the contract of the event require a number; then replay the dead letter.',
  ),
} as const satisfies Record<string, ErrorRow>;
