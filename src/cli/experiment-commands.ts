import type { CommandRow } from './command-row.ts';

/** What people ask about training. */
export const EXPERIMENT_COMMANDS: readonly CommandRow[] = [
  {
    under: 'experiments',
    name: 'list',
    description: 'experiments, newest first',
    example: 'aios experiments list',
    options: [['--limit <count>', 'how many', '50']],
    load: async () => (await import('./experiments.ts')).list,
  },
  {
    under: 'experiments',
    name: 'runs <name>',
    description: 'compare the training runs of an experiment: parameters and metrics',
    example: "aios experiments runs churn --filter 'metrics.auc > 0.8'",
    options: [
      ['--filter <filter>', "in MLflow's syntax: metrics.auc > 0.8 and params.depth = '6'"],
      ['--order <order>', 'such as "metrics.auc DESC"'],
      ['--limit <number>', 'how many at most', '50'],
    ],
    load: async () => (await import('./experiments.ts')).runs,
  },
  {
    name: 'logs <run>',
    description: 'the output of the training commands of a run',
    example: 'aios logs RUN --follow',
    options: [
      ['--step <key>', 'only of this step'],
      ['-f, --follow', 'keep printing until the run has ended'],
    ],
    load: async () => (await import('./experiments.ts')).logs,
  },
];
