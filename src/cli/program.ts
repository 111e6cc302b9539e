import { join } from 'node:path';
import { Command, CommanderError, Help, Option } from 'commander';
import { AiosError } from '../kernel/errors.ts';
import type { CommandRow, Host } from './command-row.ts';
import { CONTRACT_COMMANDS } from './contract-commands.ts';
import { DATASET_COMMANDS } from './dataset-commands.ts';
import { EVENT_COMMANDS } from './event-commands.ts';
import { EXPERIMENT_COMMANDS } from './experiment-commands.ts';
import { FEATURE_COMMANDS } from './feature-commands.ts';
import { FLOW_COMMANDS } from './flow-commands.ts';
import { MODEL_COMMANDS } from './model-commands.ts';
import { describeError, EXIT, errorAsJson } from './output.ts';
import { PEOPLE_COMMANDS } from './people-commands.ts';
import { PROOF_COMMANDS } from './proof-commands.ts';

const COMMANDS: readonly CommandRow[] = [
  {
    name: 'init <folder>',
    description: 'create a small project to start from',
    example: 'aios init shop',
    load: async () => (await import('./init.ts')).init,
  },
  {
    name: 'plan <folder>',
    description: 'show what applying a project folder would change (exit code 2 if anything)',
    example: 'aios plan shop',
    load: async () => (await import('./projects.ts')).plan,
  },
  {
    name: 'apply <folder>',
    description: 'apply a project folder: create or update its definitions',
    example: 'aios apply shop',
    load: async () => (await import('./projects.ts')).apply,
  },
  ...CONTRACT_COMMANDS,
  ...FEATURE_COMMANDS,
  ...DATASET_COMMANDS,
  {
    name: 'lineage <node>',
    description: 'show what a field, feature, model, run … depends on, and what depends on it',
    example: 'aios lineage model:return-risk --up',
    options: [
      ['--up', 'only what it depends on'],
      ['--down', 'only what depends on it'],
      ['--depth <edges>', 'how many steps to follow'],
      ['--kinds <kinds>', 'only nodes of these kinds, separated by commas'],
      ['--as-of <time>', 'as it was at a time'],
    ],
    load: async () => (await import('./lineage.ts')).lineage,
  },
  ...FLOW_COMMANDS,
  {
    under: 'models',
    name: 'requests <model>',
    description:
      'sampled requests of a model with their answers, newest first (serving.log in its definition)',
    example: 'aios models requests return-risk --status failed',
    options: [
      ['--of-version <number>', 'answered by this version'],
      ['--status <status>', 'answered, degraded or failed'],
      ['--caller <id>', 'sent with this key, or by a console session of it'],
      ['--run <id>', 'sent by this run'],
      ['--trace <id>', 'of this trace'],
      ['--from <time>', 'at this time or later'],
      ['--to <time>', 'before this time'],
      ['--limit <count>', 'how many', '50'],
    ],
    load: async () => (await import('./model-requests.ts')).modelRequests,
  },
  ...EVENT_COMMANDS,
  ...MODEL_COMMANDS,
  ...EXPERIMENT_COMMANDS,
  ...PEOPLE_COMMANDS,
  ...PROOF_COMMANDS,
  {
    name: 'keys [id]',
    description: 'list the API keys of people and programs; with an id, change one',
    example: 'aios keys --create Rita --roles reviewer --groups returns --expires 90d',
    options: [
      ['--create <name>', 'create a key; it is shown once'],
      ['--roles <names>', 'with --create: viewer, reviewer, lead, operator, trainer, admin', 'reviewer'],
      ['--groups <names>', 'the groups of its holder, separated by commas'],
      ['--expires <when>', 'with --create: a duration (90d) or a date and time (default: never)'],
      ['--revoke', 'revoke the key and its sessions'],
      ['--ended', 'list keys that were revoked or have expired, newest first'],
      ['--limit <count>', 'with --ended: how many', '50'],
    ],
    load: async () => (await import('./keys.ts')).keys,
  },
  {
    name: 'budgets [name]',
    description: 'list the budgets of language model calls and their use; with a name, set or remove one',
    example: 'aios budgets all --usd 100 --period month',
    options: [
      ['--tokens <count>', 'the most tokens in one period'],
      ['--usd <amount>', 'the most dollars in one period'],
      ['--period <period>', 'hour, day or month (UTC)', 'month'],
      ['--for-key <id>', 'for one key; “each” gives every key its own budget'],
      ['--for-model <name>', 'for one model; “each” gives every model its own budget'],
      ['--remove', 'remove the budget'],
    ],
    load: async () => (await import('./budgets.ts')).budgets,
  },
  {
    name: 'login',
    description: 'print a new one-time link to the console',
    example: 'aios login',
    load: async () => (await import('./login.ts')).login,
  },
];

/** What the commands are about that only hold others. */
const GROUPS: Readonly<Record<string, string>> = {
  datasets: 'training datasets: create versions of them, compare, export',
  contracts: 'the schemas of events: versions, compatibility checks, quality',
  events: 'the event log: search, replay, consumer groups, segments',
  features: 'the inputs of models: current and historical values, freshness, profiles',
  experiments: 'experiments and their training runs',
  models: 'models and their versions: promote, roll out to part of the traffic, roll back, quantize',
  workflows: 'flows: test, record a test, draw, versions in use',
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

/** Of a process that hands in neither: there are no flows to test, and nothing decides again. */
const ALONE: Host = {
  testFlows: async () => [],
  evaluateTable: () => Promise.reject(new Error('This process has no decision tables.')),
};

/** The options of `aios start`. */
export interface StartOptions {
  project?: string;
  example?: string;
  role: 'all' | 'worker' | 'api';
}

/**
 * Runs the command line; resolves with the exit code (0 ok, 1 failed, 2 the plan has changes, 3 needs approval, 64 usage).
 *
 * @example process.exitCode = await runCli(process.argv.slice(2), start, { testFlows, evaluateTable })
 */
export async function runCli(
  argv: readonly string[],
  start: (options: StartOptions) => Promise<number>,
  host: Host = ALONE,
): Promise<number> {
  let code: number = EXIT.ok;
  let used: CommandRow | undefined;
  // A usage that is wrong is found before `--json` is read as an option.
  const asJson = argv.includes('--json');
  const program = createProgram(asJson);
  program
    .command('start')
    .description('start the server (with --example, also the simulated systems and events of that example)')
    .option('--project <folder>', 'apply this project folder first')
    .option('--example <name>', 'run this example')
    .addOption(
      new Option(
        '--role <role>',
        'what this process does: worker performs runs and serves only probes and metrics, api serves requests and leaves runs to other processes',
      )
        .choices(['all', 'worker', 'api'])
        .env('AIOS_ROLE')
        .default('all'),
    )
    .addHelpText('after', '\nExample:\n  aios start --project shop')
    .action(async (options: StartOptions) => {
      code = await start(options);
    });
  for (const row of COMMANDS) {
    const owner = row.under === undefined ? program : commandNamed(program, row.under);
    const command = owner.command(row.name).description(row.description);
    command.addHelpText('after', `\nExample:\n  ${row.example}`);
    for (const [flags, description, fallback] of row.options ?? [])
      command.option(flags, description, fallback);
    command.action(async (...received: unknown[]) => {
      const self = received.at(-1) as Command;
      used = row;
      code = await (await row.load())(self.optsWithGlobals(), self.args, host);
    });
  }
  // The help shows the parts in the order in which it comes to the first command of each.
  const inOrder = Object.entries(HEADINGS).flatMap(([heading, names]) =>
    names.map((name) => commandNamed(program, name).helpGroup(heading)),
  );
  (program.commands as Command[]).sort((a, b) => inOrder.indexOf(a) - inOrder.indexOf(b));
  try {
    await program.parseAsync(argv as string[], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      if (asJson) process.stderr.write(`${errorAsJson(usageFault(error))}\n`);
      return EXIT.usage;
    }
    process.stderr.write(`${asJson ? errorAsJson(error) : describeError(error, used)}\n`);
    return EXIT.failed;
  }
  return code;
}

/** `aios` with the options that every command takes. */
function createProgram(asJson: boolean): Command {
  return new Command('aios')
    .description('The operating layer for AI automation: events in, decisions out, with proof and cost')
    .version('0.1.0')
    .exitOverride()
    .configureHelp({ minWidthToWrap: 30, optionDescription }) // by default 40: beside long names nothing was wrapped at 80 columns
    .configureOutput(asJson ? { writeErr: () => {} } : {})
    .showHelpAfterError('Run the command with --help to see how to use it.')
    .addOption(
      new Option(
        '--url <url>',
        'the server (default: the one that runs on the data folder, or http://127.0.0.1:7700)',
      ).env('AIOS_URL'),
    )
    .option('--key <key>', 'an API key (env: AIOS_API_KEY; default: the admin key in the data folder)')
    .addOption(
      new Option('--data-dir <folder>', 'the data folder of a local server')
        .env('AIOS_DATA_DIR')
        .default(join(process.cwd(), '.aios')),
    )
    .option('--json', 'print JSON; errors too, on standard error');
}

/** What is taken when an option is left out stands in the help as a person would type it: commander puts quotes around it. */
function optionDescription(this: Help, option: Option): string {
  const described = Help.prototype.optionDescription.call(this, option);
  return described.replace(/\(default: "([^"]*)"/, '(default: $1');
}

function usageFault({ code, message }: CommanderError): AiosError {
  const isGroup = code === 'commander.help'; // of a command that only holds others
  const detail = isGroup ? 'Name what to do: --help lists it.' : message.replace(/^error: /, '');
  return new AiosError('request.invalid', { detail });
}
