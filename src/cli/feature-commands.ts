import type { CommandRow } from './command-row.ts';

const SPINE = 'a file with rows of keys and a timestamp (.csv, .jsonl or .json)';

const FULL_NAMES: [string, string] = ['--full-feature-names', 'answer view__feature instead of feature'];

/** What people do with features. */
export const FEATURE_COMMANDS: readonly CommandRow[] = [
  {
    under: 'features',
    name: 'list',
    description: 'every feature view with its kind and freshness',
    example: 'aios features list',
    load: async () => (await import('./features.ts')).list,
  },
  {
    under: 'features',
    name: 'services',
    description: 'every feature service with its join keys and its features',
    example: 'aios features services',
    load: async () => (await import('./features.ts')).services,
  },
  {
    under: 'features',
    name: 'show <view>',
    description: 'a feature view with its features',
    example: 'aios features show customer-orders',
    load: async () => (await import('./features.ts')).show,
  },
  {
    under: 'features',
    name: 'online <service> <keys...>',
    description:
      'the current features of an entity, its keys as name=value; for many entities, a JSON list or @file',
    example: 'aios features online return-risk customer=C-17 product=22009D',
    options: [
      ['--as-of <time>', 'at this time instead of now'],
      ['--request <json>', 'values that come with the request'],
      FULL_NAMES,
    ],
    load: async () => (await import('./features.ts')).online,
  },
  {
    under: 'features',
    name: 'historical [service] [file]',
    description: `the features of many entities at times in the past; ${SPINE}. With --out, the server joins files of its own, of any size`,
    example: 'aios features historical return-risk rows.csv',
    options: [
      ['--created-before <time>', 'only what had been recorded by then'],
      FULL_NAMES,
      ['--service <name>', 'the service'],
      ['--entities <file>', 'a .parquet or .csv file in one of the server’s AIOS_FEATURE_FOLDERS'],
      ['--out <file>', 'the .parquet file to write there'],
      ['--timestamp <column>', 'the column with the time (default: timestamp or event_timestamp)'],
      ['--no-wait', 'return at once'],
    ],
    load: async () => (await import('./features.ts')).historical,
  },
  {
    under: 'features',
    name: 'joins [id]',
    description:
      'list historical joins of files with their progress; with an id, show one, and why it failed',
    example: 'aios features joins JOIN --cancel',
    options: [['--cancel', 'cancel it; no file is left']],
    load: async () => (await import('./feature-joins.ts')).joins,
  },
  {
    under: 'features',
    name: 'push <source> <file>',
    description: `send rows to the views of a push source; ${SPINE.replace('keys and a timestamp', 'keys, columns and a timestamp')}`,
    example: 'aios features push prices rows.csv',
    load: async () => (await import('./features.ts')).push,
  },
  {
    under: 'features',
    name: 'materialize <view>',
    description: 'load the newest rows of a batch view into the online store, and wait until it is done',
    example: 'aios features materialize products --full',
    options: [
      ['--full', 'all rows, not only those added since the last time'],
      ['--no-wait', 'return at once'],
    ],
    load: async () => (await import('./features.ts')).materialize,
  },
  {
    under: 'features',
    name: 'backfill <view>',
    description: 'rebuild a range of event times of a stream view from the log, while the stream continues',
    example: 'aios features backfill customer-orders --from 2026-01-01',
    options: [
      ['--from <time>', 'the start of the range'],
      ['--to <time>', 'its end, exclusive (default: now)'],
      ['--include-late', 'also count events that arrived later than the view allows'],
    ],
    load: async () => (await import('./features.ts')).backfill,
  },
  {
    under: 'features',
    name: 'profile <name>',
    description:
      'save the distribution of a view, or of a service at times in the past; without a source, show what was saved',
    example: 'aios features profile orders-today --view customer-orders',
    options: [
      ['--view <view>', 'a view as it is now'],
      ['--service <service>', 'a service, with --spine'],
      ['--spine <file>', SPINE],
    ],
    load: async () => (await import('./feature-profiles.ts')).profile,
  },
  {
    under: 'features',
    name: 'validate <name>',
    description: 'compare features with a saved profile (exit code 1 when they have drifted)',
    example: 'aios features validate orders-today',
    options: [
      ['--view <view>', 'a view as it is now (default: the view of the profile)'],
      ['--service <service>', 'a service, with --spine'],
      ['--spine <file>', SPINE],
      ['--thresholds <json>', 'what counts as drift, such as {"psi": 0.1}'],
    ],
    load: async () => (await import('./feature-profiles.ts')).validate,
  },
];
