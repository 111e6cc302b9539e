import type { CommandRow } from './command-row.ts';

const ALIAS: [string, string, string] = ['--alias <name>', 'the alias', 'champion'];
const REASON: [string, string] = ['--reason <text>', 'why; it is kept in the audit log'];

/** `aios models …`. */
export const MODEL_COMMANDS: readonly CommandRow[] = [
  {
    under: 'models',
    name: 'list',
    description: 'every model: the versions behind its aliases, and how it is served',
    example: 'aios models list',
    load: async () => (await import('./models.ts')).list,
  },
  {
    under: 'models',
    name: 'show <name>',
    description: 'one model: its versions, its rollout, and what pending promotions wait for',
    example: 'aios models show return-risk',
    load: async () => (await import('./models.ts')).show,
  },
  {
    under: 'models',
    name: 'load <name>',
    description: 'start and warm up the replicas of the champion before requests arrive',
    example: 'aios models load return-risk',
    load: async () => (await import('./model-loading.ts')).load,
  },
  {
    under: 'models',
    name: 'unload <name>',
    description: 'stop the replicas of a model; the next request loads it again',
    example: 'aios models unload return-risk',
    load: async () => (await import('./model-loading.ts')).unload,
  },
  {
    under: 'models',
    name: 'promote <name> <version>',
    description: 'point an alias at a version (exit code 3 when it waits for approvals)',
    example: 'aios models promote return-risk 2',
    options: [ALIAS, ['--force', 'even if callers of the alias would be refused']],
    load: async () => (await import('./models.ts')).promote,
  },
  {
    under: 'models',
    name: 'approve <name> <version>',
    description: 'approve a version for an alias; the last approval that a promotion needs carries it out',
    example: "aios models approve return-risk 2 --reason 'Better on the last month.'",
    options: [ALIAS, ['--reject', 'reject it instead'], REASON],
    load: async () => (await import('./models.ts')).approve,
  },
  {
    under: 'models',
    name: 'rollback <name>',
    description: 'end the rollout of an alias; if there is none, move the alias back to the previous version',
    example: "aios models rollback return-risk --reason 'Too many refusals.'",
    options: [ALIAS, REASON],
    load: async () => (await import('./models.ts')).rollback,
  },
  {
    under: 'models',
    name: 'rollout <name> [action]',
    description:
      'show the rollout of an alias and its measurements; or start, step, pause, resume or promote it',
    example: 'aios models rollout return-risk start --challenger 2 --steps 5:10m,25:1h,50',
    options: [
      ALIAS,
      ['--challenger <version>', 'start: the version to try'],
      ['--kind <kind>', 'start: canary, shadow or ab', 'canary'],
      ['--percent <number>', 'start, step: the share of the challenger'],
      ['--steps <steps>', 'start: percentages and how long each lasts, such as 5:10m,25:1h,50'],
      ['--then-promote', 'start: move the alias when the last step has ended'],
      ['--compare <share>', 'start: the share of requests, 0 to 1, that are copied to the other version'],
      ['--force', 'start: even if callers of the alias would be refused'],
      ['--plan <json>', 'start: the whole plan, as in the API; @file reads it'],
      REASON,
    ],
    load: async () => (await import('./model-rollouts.ts')).rollout,
  },
  {
    under: 'models',
    name: 'quantize <reference>',
    description:
      'make a version with 8-bit weights from NAME, NAME:VERSION or NAME@ALIAS, and compare the two',
    example: 'aios models quantize return-risk --data rows.csv --label returned',
    options: [
      ['--data <file>', 'rows to compare on: a .csv with a header row, .jsonl or .json'],
      ['--label <column>', 'the column with the known outcome'],
      ['--per-channel', 'a scale for each output channel of a weight'],
      ['--reduce-range', '7-bit weights, for servers on x64 processors without VNNI'],
      ['--operators <list>', 'which operators, separated by commas (Gather,Gemm,MatMul; Conv is slower)'],
      ['--weight-bytes-min <bytes>', 'leave weights smaller than this as they are'],
      ['--agreement-min <share>', 'the share of rows on which both must agree, 0 to 1'],
      ['--dry-run', 'measure only; nothing is kept'],
    ],
    load: async () => (await import('./model-quantize.ts')).quantize,
  },
];
