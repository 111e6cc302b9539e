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
    'Try again in a moment; the build continues by itself.',
  ),
  'features.first_pass': again(
    503,
    'A version of a batch view waits for its first materialization',
    'Materialize the view (aios features materialize, or POST /api/v1/feature-views/{name}/materialize), then ask again; historical queries already work.',
    'Bring the rows of the view online in its page, then ask again; questions about the past are answered already.',
  ),
  'features.missing_key': row(
    422,
    'A join key is missing',
    'Give a value (or null) for every join key of the service’s views.',
  ),
  'features.invalid_key': row(
    422,
    'A join key is not a plain value',
    'Give a string, a number up to 2^53 (larger ones as strings) or a boolean as a key, or correct the view’s expression for it.',
  ),
  'features.no_cutoff': row(
    422,
    'A view does not know what had been recorded by a given time',
    'Give the view that the detail names a “created” column or, if it has a “tile”, a “lateness”; or ask without the cut-off.',
  ),
  'features.unknown_view': row(
    404,
    'There is no such feature view',
    'List them (aios features list, or /api/v1/feature-views), or apply the project that defines it.',
    'The page “Features” lists them; or apply the project that defines it.',
  ),
  'features.not_materialized': row(
    422,
    'This view cannot be materialized',
    'Name a batch view with “online: true”: other views get their rows from events or pushes, or read their table.',
  ),
  'features.materializing': again(
    409,
    'The view is being materialized',
    'Wait for the materialization in progress (/api/v1/features/materializations), then ask again.',
    'Wait for the pass under way, which the page of the view shows, then ask again.',
  ),
  'features.unknown_materialization': row(
    404,
    'There is no such materialization',
    'List them at /api/v1/features/materializations.',
    'The page of a view lists those of the view.',
  ),
  'features.unknown_profile': row(
    404,
    'There is no such reference profile',
    'List them at /api/v1/features/profiles, or save one first.',
    'The console shows no profiles: whoever runs AIOS can list them.',
  ),
  'features.profile_source': row(
    422,
    'The request does not say what to compare with the profile',
    'Send a `view`, or a `service` with its `spine`.',
  ),
  'features.state_gone': row(
    422,
    'The view no longer keeps state for vectors that old',
    'Ask for a later time (the detail names the earliest), or give the view a longer “retention” in advance.',
  ),
  'features.backfill_gone': row(
    422,
    'The log no longer has all events of the range',
    'Start the range later: the detail says from which time the log is complete.',
  ),
  'features.unknown_push': row(
    404,
    'No feature view has a push source of that name',
    'Name the “push” source of a view, or apply a view with that source first.',
  ),
  'features.invalid_value': row(
    422,
    'A value is not of the type that its feature declares',
    'Send or compute a value of that type, or correct the type in the definition of the view.',
  ),
  'features.missing_request': row(
    422,
    'A computed feature needs a value from the request',
    'Send it in “request” (null if there is none): on-demand views declare the values that they need, derived features name them.',
  ),
  'features.unknown_function': row(
    422,
    'A computed feature calls a function that this program does not register',
    'Pass the function in `featureFunctions` where the program starts AIOS, in every process; or write the functions of the view in TypeScript (“module”).',
  ),
  'features.function_failed': row(
    422,
    'A function of an on-demand view threw an error',
    'Correct the code of the view or its input: the detail names the function, the row and the error.',
  ),
  'features.function_stopped': row(
    422,
    'The functions of an on-demand view were stopped: they took too long or too much memory',
    'Make them do less, or raise the limit that the detail names.',
  ),
  'features.source_not_allowed': row(
    403,
    'The operator has not allowed that schema or folder as a source of features',
    'Add the schema to AIOS_FEATURE_SCHEMAS, or the folder to AIOS_FEATURE_FOLDERS (comma-separated lists), and restart.',
  ),
  'features.source_unfit': row(
    422,
    'The table or file does not match the batch view',
    'Correct the view, or its source: the detail says what is missing.',
  ),
  'features.file_not_allowed': row(
    403,
    'The operator has not allowed files in that folder',
    'Add the folder to AIOS_FEATURE_FOLDERS (a comma-separated list) and restart.',
  ),
  'features.entities_unfit': row(
    422,
    'The file of entities cannot be used for a historical join',
    'Name an existing file with a column for each join key and one with the time of each row: the detail says what is missing.',
  ),
  'features.file_exists': row(
    409,
    'A file of that name exists already',
    'Choose another name: files are never overwritten.',
  ),
  'features.unknown_join': row(
    404,
    'There is no such historical join',
    'List them: aios features joins, or /api/v1/features/joins.',
    'The page “Features” lists them.',
  ),
  'features.join_ended': row(409, 'The historical join has ended', 'Start a new one if you still need it.'),
  'features.pass_given_up': row(
    500,
    'Several processes died while they worked on it',
    'Find out why. The most likely cause is a lack of memory: lower offlineMemoryBytesMax in AIOS_LIMITS, or give the processes more memory. Then start it again.',
  ),
  'features.offline_failed': row(
    422,
    'A job over files failed',
    'The detail says why. For more memory or disk raise offlineMemoryBytesMax or offlineSpillBytesMax in AIOS_LIMITS.',
  ),
  'features.offline_canceled': row(
    409,
    'The job over files was stopped before it finished',
    'Start it again if you still need it.',
  ),
  'features.offline_only': row(
    422,
    'A view of the service is not available online',
    'Set “online: true” in the view and materialize it, or ask for historical vectors.',
  ),
  'features.not_a_number': row(
    422,
    'A feature that adds numbers got a value that is not a number',
    'Correct the feature’s “of”, or let the contract of the event require a number; then replay the dead letter.',
  ),
} as const satisfies Record<string, ErrorRow>;
