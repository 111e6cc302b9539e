import type { CommandRow } from './command-row.ts';

/** What proves what was decided, and what it cost. */
export const PROOF_COMMANDS: readonly CommandRow[] = [
  {
    name: 'audit [index]',
    description: 'list audit entries, or show one with its proof of inclusion',
    example: 'aios audit --of run:RUN',
    options: [
      ['--limit <count>', 'how many', '20'],
      [
        '--again',
        'with the index of a decision: decide again with the same version of the table, and compare',
      ],
      ['--of <object>', 'the entries about one thing, such as run:run_…'],
      [
        '--export <folder>',
        'copy the whole log there, as C2SP tlog-tiles, to be verified without the server',
      ],
      [
        '--payloads',
        'with --export: also the payloads that the entries commit to, and the tables, flows and models that they name',
      ],
      ['--from <folder>', 'read such a copy instead of the server'],
      ['--log-key <file>', "with --from: the log's verifier key, kept from earlier"],
    ],
    load: async () => (await import('./audit.ts')).audit,
  },
  {
    name: 'verify',
    description: 'verify the whole audit log on this machine: the signature, every entry, a sample of proofs',
    example: 'aios verify --from log --log-key log.vkey',
    options: [
      ['--from <folder>', 'a copy of the log (aios audit --export) instead of the server'],
      [
        '--log-key <file>',
        "the log's verifier key, kept from earlier; taken from the server or the copy when left out",
      ],
      ['--checkpoint <file>', 'a checkpoint kept from earlier, which the log must extend'],
    ],
    load: async () => (await import('./verify.ts')).verify,
  },
  {
    name: 'costs',
    description: 'what things cost: totals, or every charge as CSV in the columns of FOCUS (FinOps)',
    example: 'aios costs --by workflow --since 30d',
    options: [
      ['--by <group>', 'service, resource, workflow, day, or by (who asked)', 'service'],
      ['--since <time>', 'charges at this time or later'],
      ['--until <time>', 'charges before this time'],
      ['--focus <file>', 'write every charge as CSV; - writes to standard output'],
      ['--of-run <id>', 'with --focus: the charges of one run'],
    ],
    load: async () => (await import('./costs.ts')).costs,
  },
];
