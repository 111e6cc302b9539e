import type { CommandRow } from './program.ts';

/** What people ask about training. */
export const EXPERIMENT_COMMANDS: readonly CommandRow[] = [
  {
    under: 'experiments',
    name: 'list',
    description: 'experiments, the newest first',
    example: 'aios experiments list',
    options: [['--limit <count>', 'how many', '50']],
    load: async () => (await import('./experiments.ts')).list,
  },
  {
    under: 'experiments',
    name: 'runs <name>',
    description: 'the training runs of an experiment side by side: parameters and metrics',
    example: "aios experiments runs churn --filter 'metrics.auc > 0.8'",
    options: [
      ['--filter <filter>', "as MLflow's: metrics.auc > 0.8 and params.depth = '6'"],
      ['--order <order>', 'such as "metrics.auc DESC"'],
      ['--limit <number>', 'how many at most', '50'],
    ],
    load: async () => (await import('./experiments.ts')).runs,
  },
  {
    name: 'logs <run>',
    description: 'what the training commands of a run wrote',
    example: 'aios logs RUN --follow',
    options: [
      ['--step <key>', 'of this step only'],
      ['-f, --follow', 'go on until the run has ended'],
    ],
    load: async () => (await import('./experiments.ts')).logs,
  },
];
