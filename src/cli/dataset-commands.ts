import type { CommandRow } from './command-row.ts';

const OF_VERSION: [string, string, string] = ['--of-version <number>', 'a version, or latest', 'latest'];

/** What people do with datasets. */
export const DATASET_COMMANDS: readonly CommandRow[] = [
  {
    under: 'datasets',
    name: 'list',
    description: 'every dataset with its newest version',
    example: 'aios datasets list',
    load: async () => (await import('./datasets.ts')).list,
  },
  {
    under: 'datasets',
    name: 'show <name>',
    description: 'a dataset: its versions, and the columns of one version with their distributions',
    example: 'aios datasets show return-requests',
    options: [OF_VERSION],
    load: async () => (await import('./datasets.ts')).show,
  },
  {
    under: 'datasets',
    name: 'create <name>',
    description: 'make a version from the events that the definition names, or from a file of entity rows',
    example: 'aios datasets create return-requests --from 2026-01-01',
    options: [
      ['--file <file>', 'entity rows with keys, a timestamp and labels (.csv, .jsonl, .parquet)'],
      ['--from <time>', 'only events at this time or later'],
      ['--to <time>', 'only events before this time'],
      ['--created-before <time>', 'only what had been recorded by then'],
      ['--no-wait', 'return at once'],
    ],
    load: async () => (await import('./dataset-builds.ts')).create,
  },
  {
    under: 'datasets',
    name: 'builds [name]',
    description: 'the builds of versions, of one dataset or of all, with their progress',
    example: 'aios datasets builds return-requests',
    load: async () => (await import('./dataset-builds.ts')).builds,
  },
  {
    under: 'datasets',
    name: 'cancel <build>',
    description: 'cancel a build: no version is made',
    example: 'aios datasets cancel BUILD',
    load: async () => (await import('./dataset-builds.ts')).cancel,
  },
  {
    under: 'datasets',
    name: 'export <name> <target>',
    description:
      'write the data to a file (.parquet, .csv, .jsonl), the metadata to .json (Croissant) or .md (datasheet), or all into a folder',
    example: 'aios datasets export return-requests rows.parquet',
    options: [OF_VERSION],
    load: async () => (await import('./datasets-export.ts')).exportTo,
  },
  {
    under: 'datasets',
    name: 'diff <name> <from> <to>',
    description: 'compare two versions (exit code 2 when they differ)',
    example: 'aios datasets diff return-requests 1 2',
    load: async () => (await import('./datasets-diff.ts')).diff,
  },
  {
    under: 'datasets',
    name: 'delete <name> <version>',
    description: 'delete the data of a version that no model names',
    example: 'aios datasets delete return-requests 1',
    load: async () => (await import('./datasets.ts')).remove,
  },
];
