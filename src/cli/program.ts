import { join } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { CONTRACT_COMMANDS } from './contract-commands.ts';
import { DATASET_COMMANDS } from './dataset-commands.ts';
import { EVENT_COMMANDS } from './event-commands.ts';
import { EXPERIMENT_COMMANDS } from './experiment-commands.ts';
import { FEATURE_COMMANDS } from './feature-commands.ts';
import { MODEL_COMMANDS } from './model-commands.ts';
import { describeError, EXIT, errorAsJson } from './output.ts';
import { PROOF_COMMANDS } from './proof-commands.ts';
import type { GlobalOptions } from './session.ts';
import type { TestFlows } from './workflows.ts';

/** What a command does with its options and arguments; its result is the exit code. */
export type Action = (
  options: GlobalOptions & { [option: string]: unknown },
  args: string[],
  host: Host,
) => Promise<number>;

/** What the process hands in besides `start`: it alone may know the engine. */
export interface Host {
  readonly testFlows: TestFlows;
}

export interface CommandRow {
  /** The command that it stands under, by its first word. */
  under?: string;
  name: string;
  description: string;
  options?: readonly [flags: string, description: string, fallback?: string][];
  /** Loaded when the command runs: `aios --help` must not load a database driver. */
  load(): Promise<Action>;
}

const BACK: CommandRow['options'] = [
  ['--step <key>', 'the step to go back to; left out, where it failed'],
  ['--from-start', 'all of it anew'],
  ['-i, --input <json>', 'what the step is given instead (with --from-start, the run); @file reads it'],
];

const MANY: CommandRow['options'] = [
  ['--workflow <name>', 'runs of this flow'],
  ['--of-version <number>', 'runs of this version of the flow'],
  ['--status <status>', 'runs in this status'],
  ['--attr <name=value...>', 'runs with this attribute of their flow'],
  ['--from <time>', 'runs started at this time or later'],
  ['--to <time>', 'runs started before this time'],
  ['--yes', 'do it; without it they are only counted'],
];

const ACTIONS = {
  cancel: 'cancel a run',
  pause: 'stop a run before its next step',
  resume: 'let a paused run go on',
  retry: 'let an ended run go back to where it failed, or to a step, and on from there',
  delete: 'delete an ended run and its journal (its audit entries and costs stay)',
} as const;

const COMMANDS: readonly CommandRow[] = [
  {
    name: 'init <folder>',
    description: 'make a small project to begin with',
    load: async () => (await import('./init.ts')).init,
  },
  {
    name: 'plan <folder>',
    description: 'show what applying a project folder would change (exit code 2 when it would)',
    load: async () => (await import('./projects.ts')).plan,
  },
  {
    name: 'apply <folder>',
    description: 'apply a project folder',
    load: async () => (await import('./projects.ts')).apply,
  },
  ...CONTRACT_COMMANDS,
  ...FEATURE_COMMANDS,
  ...DATASET_COMMANDS,
  {
    name: 'lineage <node>',
    description: 'show what a field, feature, model, run … is made of and what is made of it',
    options: [
      ['--up', 'only what it is made of'],
      ['--down', 'only what is made of it'],
      ['--depth <edges>', 'how far'],
      ['--kinds <kinds>', 'only nodes of these kinds, separated by commas'],
      ['--as-of <time>', 'as it was at a time'],
    ],
    load: async () => (await import('./lineage.ts')).lineage,
  },
  {
    name: 'run <workflow>',
    description: 'start a run and wait for its result',
    options: [
      ['-i, --input <json>', 'the input, {} when left out; @file reads it from a file'],
      ['-e, --event <json>', 'a CloudEvent for a flow that events start; @file reads it'],
      ['-w, --wait <duration>', 'how long to wait, such as 30s; 0s returns at once', '30s'],
      ['--idempotency-key <key>', 'the same key gives the same run'],
    ],
    load: async () => (await import('./runs.ts')).run,
  },
  {
    name: 'runs [id]',
    description: 'list runs, or show one with its steps',
    options: [
      ['--workflow <name>', 'only runs of this flow'],
      ['--status <status>', 'running, waiting, paused, completed, failed or canceled'],
      ['--of-version <number>', 'only runs of this version of the flow'],
      ['--attr <name=value...>', 'only runs with this attribute of their flow'],
      ['--limit <count>', 'how many', '20'],
    ],
    load: async () => (await import('./runs.ts')).runs,
  },
  ...(['cancel', 'pause', 'resume', 'retry', 'delete'] as const).map(
    (action): CommandRow => ({
      under: 'runs',
      name: `${action} [id]`,
      description: `${ACTIONS[action]}; with a filter instead of an id, all that fit, after their count`,
      options: action === 'retry' ? [...BACK, ...MANY] : MANY,
      load: async () => (await import('./run-operations.ts'))[action],
    }),
  ),
  {
    under: 'runs',
    name: 'signal <id>',
    description: 'end a wait of a run now, or answer a step that a program of yours answers',
    options: [
      ['--step <key>', 'the step, as aios runs ID shows it'],
      ['--payload <json>', 'the answer, null when left out; @file reads it'],
    ],
    load: async () => (await import('./run-operations.ts')).signal,
  },
  {
    under: 'workflows',
    name: 'versions <workflow>',
    description: 'which versions of a flow still have runs that have not ended, and where they stand',
    load: async () => (await import('./versions.ts')).versions,
  },
  {
    under: 'runs',
    name: 'fork <id>',
    description: 'start a new run from what this one had when it came to a step',
    options: BACK,
    load: async () => (await import('./run-operations.ts')).fork,
  },
  {
    under: 'models',
    name: 'requests <model>',
    description:
      'the sample of what a model was asked and answered, the newest first (serving.log of its definition)',
    options: [
      ['--of-version <number>', 'asked of this version'],
      ['--status <status>', 'answered, degraded or failed'],
      ['--caller <id>', 'asked by this key or session'],
      ['--run <id>', 'asked by this run'],
      ['--trace <id>', 'of this trace'],
      ['--from <time>', 'at this time or later'],
      ['--to <time>', 'before this time'],
      ['--limit <count>', 'how many', '50'],
    ],
    load: async () => (await import('./model-requests.ts')).modelRequests,
  },
  {
    name: 'schedules [workflow]',
    description: 'what starts by time; with a flow, show, pause, resume or back-fill its schedule',
    options: [
      ['--pause', 'start nothing by time until it is resumed'],
      ['--discard', 'with --pause: forget the due times that wait'],
      ['--resume', 'start by time again, from now on'],
      ['--backfill', 'start the runs of a past range, --from to --until, once each'],
      ['--from <time>', 'the first time of the range, as in 2026-01-31T06:00:00Z'],
      ['--until <time>', 'the end of the range, itself left out'],
    ],
    load: async () => (await import('./schedules.ts')).schedules,
  },
  ...EVENT_COMMANDS,
  ...MODEL_COMMANDS,
  ...EXPERIMENT_COMMANDS,
  {
    name: 'run-queues [name]',
    description: 'queues of runs: how many wait, how many hold a slot; pause one or let it go on',
    options: [
      ['--pause', 'what holds a slot goes on, nothing more begins'],
      ['--resume', 'let it go on'],
    ],
    load: async () => (await import('./run-queues.ts')).runQueues,
  },
  {
    name: 'inbox [id]',
    description: 'what waits for you; with an id, show one and do with it what the options say',
    options: [
      ['--queue <name>', 'only this queue'],
      ['--all', 'whoever it is for, and what is put off too'],
      ['--history', 'show what happened to it'],
      ['--claim', 'take it in hand'],
      ['--release', 'give it back'],
      ['--complete <json>', 'answer it; @file reads the answer'],
      ['--return <question>', 'send it back to the requester with a question'],
      ['--delegate <person>', 'hand it to another, who answers for you'],
      ['--hand-back', 'give what was handed to you back to its owner'],
      ['--assign <person>', "put it into somebody's hands (leads)"],
      ['--priority <number>', '0 to 100, higher first (leads)'],
      ['--follow-up <when>', 'leave it out until then: 2d, a date and time, or none'],
      ['--comment <text>', 'say something about it'],
      ['--attach <file>', 'attach a file'],
      ['--save <name>', 'save an attachment here'],
      ['--to <file>', 'where to save it instead'],
    ],
    load: async () => (await import('./inbox.ts')).inbox,
  },
  {
    name: 'quality <queue>',
    description: 'how far the people of a queue agree, with each other and with what was suggested',
    options: [
      ['--from <time>', 'the beginning of the period; 30 days back when left out'],
      ['--to <time>', 'its end'],
    ],
    load: async () => (await import('./quality.ts')).quality,
  },
  {
    name: 'labels <verb>',
    description: 'labels export --queue <name>: the answers of people as JSON lines',
    options: [
      ['--queue <name>', 'whose answers'],
      ['--from <time>', 'the beginning of the period; 30 days back when left out'],
      ['--to <time>', 'its end'],
    ],
    load: async () => (await import('./quality.ts')).labels,
  },
  ...PROOF_COMMANDS,
  {
    name: 'keys [id]',
    description: 'list the keys of people and programs; with an id, change one',
    options: [
      ['--create <name>', 'make a key; it is shown once'],
      ['--roles <names>', 'of the new key: viewer, reviewer, lead, operator, trainer, admin', 'reviewer'],
      ['--groups <names>', 'the groups that its holder is in, apart by commas'],
      [
        '--expires <when>',
        'of the new key: a duration (90d) or a date and time; in force for good when left out',
      ],
      ['--revoke', 'revoke the key and its sessions'],
      ['--ended', 'list those that were revoked or have expired, the last 100'],
    ],
    load: async () => (await import('./keys.ts')).keys,
  },
  {
    name: 'budgets [name]',
    description: 'list what calls of language models may use, and have used; with a name, set or end one',
    options: [
      ['--tokens <count>', 'tokens of one period at most'],
      ['--usd <amount>', 'dollars of one period at most'],
      ['--period <period>', 'hour, day or month (UTC)', 'month'],
      ['--for-key <id>', 'of a key, or of each apart: each'],
      ['--for-model <name>', 'of a model, or of each apart: each'],
      ['--remove', 'end the budget'],
    ],
    load: async () => (await import('./budgets.ts')).budgets,
  },
  {
    under: 'workflows',
    name: 'test [folder]',
    description: 'run the tests of a project’s flows, in tests/*.yaml: no server, nothing outside is called',
    load: async () => (await import('./workflows.ts')).test,
  },
  {
    under: 'workflows',
    name: 'record <run>',
    description: 'make a test of a run; what looks personal or secret is replaced',
    options: [['--out <file>', 'where to write it; standard output when left out']],
    load: async () => (await import('./workflows.ts')).record,
  },
  {
    under: 'workflows',
    name: 'graph <name>',
    description: 'draw a flow',
    options: [['--format <format>', 'mermaid or json', 'mermaid']],
    load: async () => (await import('./workflows.ts')).graph,
  },
  {
    name: 'login',
    description: 'print a new one-time link to the console',
    load: async () => (await import('./login.ts')).login,
  },
];

/** What the commands are about that only hold others. */
const GROUPS: Readonly<Record<string, string>> = {
  datasets: 'what models are trained on: versions of rows of the past, made, compared, written to files',
  contracts: 'what events must look like: versions, changes checked before they are made, quality',
  events: 'the event log: search it, give a part of it again, its groups and segments',
  features: 'what models are asked with: values online and in the past, freshness, profiles',
  experiments: 'training runs, side by side',
  models: 'versions of models: promote, try on a part of the traffic, roll back, quantize',
  workflows: 'flows: test, record, draw, versions in use',
};

/** The parts that `aios --help` shows the commands in, in the order in which somebody new needs them. */
const HEADINGS: Readonly<Record<string, readonly string[]>> = {
  'Server:': ['start', 'login', 'keys'],
  'Project:': ['init', 'plan', 'apply'],
  'Flows:': ['run', 'runs', 'workflows', 'schedules', 'run-queues'],
  'People:': ['inbox', 'quality', 'labels'],
  'Data:': ['events', 'contracts', 'quarantine', 'features', 'datasets', 'bridges', 'webhooks', 'lineage'],
  'Models:': ['models', 'experiments', 'logs', 'budgets'],
  'Proof:': ['audit', 'verify', 'costs'],
};

/** A command by its first word; one that only holds others is made when the first of them comes. */
function commandNamed(program: Command, name: string): Command {
  const known = program.commands.find((command) => command.name() === name);
  return known ?? program.command(name).description(GROUPS[name] ?? '');
}

/** The options of `aios start`. */
export interface StartOptions {
  project?: string;
  example?: string;
  role: 'all' | 'worker' | 'api';
}

/**
 * Runs the command line; resolves with the exit code (0 ok, 1 failed, 2 the plan has changes, 3 needs approval, 64 usage).
 *
 * @example process.exitCode = await runCli(process.argv.slice(2), start, { testFlows })
 */
export async function runCli(
  argv: readonly string[],
  start: (options: StartOptions) => Promise<number>,
  host: Host = { testFlows: async () => [] },
): Promise<number> {
  let code: number = EXIT.ok;
  const program = new Command('aios')
    .description('The operating layer for AI automation: events in, decisions out, with proof and cost')
    .version('0.1.0')
    .exitOverride()
    .showHelpAfterError('The command with --help says what it takes.')
    .addOption(new Option('--url <url>', 'the server').env('AIOS_URL').default('http://127.0.0.1:7700'))
    .option('--key <key>', 'an API key (AIOS_API_KEY; a local server leaves one in its data folder)')
    .addOption(
      new Option('--data-dir <folder>', 'the data folder of a local server')
        .env('AIOS_DATA_DIR')
        .default(join(process.cwd(), '.aios')),
    )
    .option('--json', 'print JSON; an error too, on standard error', false);
  program
    .command('start')
    .description(
      'start the server (with --example, also the systems and the simulated events of that example)',
    )
    .option('--project <folder>', 'apply this project folder first')
    .option('--example <name>', 'run this example')
    .addOption(
      new Option(
        '--role <role>',
        'of several processes over one database: worker performs runs and has probes and metrics only, api leaves runs to the others',
      )
        .choices(['all', 'worker', 'api'])
        .env('AIOS_ROLE')
        .default('all'),
    )
    .action(async (options: StartOptions) => {
      code = await start(options);
    });
  for (const row of COMMANDS) {
    const owner = row.under === undefined ? program : commandNamed(program, row.under);
    const command = owner.command(row.name).description(row.description);
    for (const [flags, description, fallback] of row.options ?? [])
      command.option(flags, description, fallback);
    command.action(async (...received: unknown[]) => {
      const self = received.at(-1) as Command;
      code = await (await row.load())(self.optsWithGlobals(), self.args, host);
    });
  }
  for (const [heading, names] of Object.entries(HEADINGS))
    for (const name of names) commandNamed(program, name).helpGroup(heading);
  try {
    await program.parseAsync(argv as string[], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    process.stderr.write(`${program.opts().json ? errorAsJson(error) : describeError(error)}\n`);
    return EXIT.failed;
  }
  return code;
}
