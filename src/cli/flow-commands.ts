import type { CommandRow } from './command-row.ts';

const BACK: CommandRow['options'] = [
  ['--step <key>', 'the step to go back to (default: the one that failed)'],
  ['--from-start', 'from the beginning'],
  ['-i, --input <json>', 'a new input for the step (with --from-start, for the run); @file reads it'],
];

const MANY: CommandRow['options'] = [
  ['--workflow <name>', 'runs of this flow'],
  ['--of-version <number>', 'runs of this version of the flow'],
  ['--status <status>', 'runs with this status'],
  ['--attr <name=value...>', 'runs with this attribute'],
  ['--from <time>', 'runs started at this time or later'],
  ['--to <time>', 'runs started before this time'],
  ['--yes', 'do it; without it they are only counted'],
];

const ACTIONS = {
  cancel: 'cancel a run',
  pause: 'stop a run before its next step',
  resume: 'resume a paused run',
  retry: 'continue an ended run from where it failed, or from a step',
  delete: 'delete an ended run and its journal (its audit entries and costs stay)',
} as const;

const ACTION_EXAMPLES = {
  cancel: 'aios runs cancel --workflow returns --status waiting',
  pause: 'aios runs pause RUN',
  resume: 'aios runs resume RUN',
  retry: 'aios runs retry RUN --step score',
  delete: 'aios runs delete RUN',
} as const;

/** What people do with flows and their runs. */
export const FLOW_COMMANDS: readonly CommandRow[] = [
  {
    name: 'run <workflow>',
    description: 'start a run and wait for its result',
    example: `aios run greet --input '{"name":"Ada"}'`,
    options: [
      ['-i, --input <json>', 'the input (default: {}); @file reads it from a file'],
      ['-e, --event <json>', 'a CloudEvent, for a flow that is started by events; @file reads it'],
      ['-w, --wait <duration>', 'how long to wait, such as 30s; 0s returns at once', '30s'],
      ['--idempotency-key <key>', 'the same key gives the same run'],
    ],
    load: async () => (await import('./runs.ts')).run,
  },
  {
    name: 'runs [id]',
    description: 'list runs, or show one with its steps',
    example: 'aios runs --workflow returns --status failed',
    options: [
      ['--workflow <name>', 'only runs of this flow'],
      ['--status <status>', 'running, waiting, paused, completed, failed or canceled'],
      ['--of-version <number>', 'only runs of this version of the flow'],
      ['--attr <name=value...>', 'only runs with this attribute'],
      ['--limit <count>', 'how many', '20'],
    ],
    load: async () => (await import('./runs.ts')).runs,
  },
  ...(['cancel', 'pause', 'resume', 'retry', 'delete'] as const).map(
    (action): CommandRow => ({
      under: 'runs',
      example: ACTION_EXAMPLES[action],
      name: `${action} [id]`,
      description: `${ACTIONS[action]}; with a filter instead of an id, all runs that match (first only counted)`,
      options: action === 'retry' ? [...BACK, ...MANY] : MANY,
      load: async () => (await import('./run-operations.ts'))[action],
    }),
  ),
  {
    under: 'runs',
    name: 'signal <id>',
    description: 'end a wait of a run now, or answer a step that waits for one of your programs',
    example: `aios runs signal RUN --step wait-for-parcel --payload '{"arrived":true}'`,
    options: [
      ['--step <key>', 'the step, as aios runs ID shows it'],
      ['--payload <json>', 'the answer (default: null); @file reads it'],
    ],
    load: async () => (await import('./run-operations.ts')).signal,
  },
  {
    under: 'workflows',
    name: 'versions <workflow>',
    description: 'which versions of a flow still have unfinished runs, and the steps that these are at',
    example: 'aios workflows versions returns',
    load: async () => (await import('./versions.ts')).versions,
  },
  {
    under: 'runs',
    name: 'fork <id>',
    description: 'start a new run from the state that this one had at a step',
    example: 'aios runs fork RUN --step score',
    options: BACK,
    load: async () => (await import('./run-operations.ts')).fork,
  },
  {
    name: 'schedules [workflow]',
    description: 'flows that start on a schedule; with a flow, show, pause, resume or back-fill its schedule',
    example: 'aios schedules nightly --backfill --from 2026-01-01 --until 2026-02-01',
    options: [
      ['--pause', 'start no scheduled runs until it is resumed'],
      ['--discard', 'with --pause: drop the due times that are waiting'],
      ['--resume', 'start scheduled runs again, from now on'],
      ['--backfill', 'start the runs of a past range, --from to --until, each once'],
      ['--from <time>', 'the start of the range, such as 2026-01-31T06:00:00Z'],
      ['--until <time>', 'the end of the range, exclusive'],
    ],
    load: async () => (await import('./schedules.ts')).schedules,
  },
  {
    name: 'run-queues [name]',
    description: 'run queues: how many runs wait, how many hold a slot; pause or resume a queue',
    example: 'aios run-queues exports --pause',
    options: [
      ['--pause', 'start no more runs; those that hold a slot continue'],
      ['--resume', 'start runs again'],
    ],
    load: async () => (await import('./run-queues.ts')).runQueues,
  },
  {
    under: 'workflows',
    name: 'test [folder]',
    description:
      'run the tests of a project’s flows, in tests/*.yaml; needs no server and calls nothing outside',
    example: 'aios workflows test shop',
    load: async () => (await import('./workflows.ts')).test,
  },
  {
    under: 'workflows',
    name: 'record <run>',
    description: 'make a test from a run; values that look personal or secret are replaced',
    example: 'aios workflows record RUN --out tests/returns.yaml',
    options: [['--out <file>', 'where to write it; standard output when left out']],
    load: async () => (await import('./workflows.ts')).record,
  },
  {
    under: 'workflows',
    name: 'graph <name>',
    description: 'draw a flow',
    example: 'aios workflows graph returns',
    options: [['--format <format>', 'mermaid or json', 'mermaid']],
    load: async () => (await import('./workflows.ts')).graph,
  },
];
