import type { CommandRow } from './command-row.ts';

/** What people do with contracts. */
export const CONTRACT_COMMANDS: readonly CommandRow[] = [
  {
    under: 'contracts',
    name: 'list',
    description: 'every contract with its newest version',
    example: 'aios contracts list',
    load: async () => (await import('./contracts.ts')).list,
  },
  {
    under: 'contracts',
    name: 'show <type>',
    description: 'the versions of a contract, and the definitions that use its type',
    example: 'aios contracts show order.placed',
    load: async () => (await import('./contracts.ts')).show,
  },
  {
    under: 'contracts',
    name: 'diff <type> <from> [to]',
    description: 'how two versions differ, and which data of one the other would refuse',
    example: 'aios contracts diff order.placed 1.0.0 1.1.0',
    load: async () => (await import('./contracts.ts')).diff,
  },
  {
    under: 'contracts',
    name: 'check <file>',
    description:
      'check a contract file as the next version (exit code 1 if it breaks the compatibility mode)',
    example: 'aios contracts check contracts/order.placed.yaml',
    options: [['--against <version>', 'compare it with this version alone']],
    load: async () => (await import('./contracts.ts')).check,
  },
  {
    under: 'contracts',
    name: 'deprecate <type> <version>',
    description: 'tell producers to stop using a version; it stays usable',
    example: 'aios contracts deprecate order.placed 1.0.0 --sunset 2027-01-01T00:00:00Z',
    options: [
      ['--message <text>', 'what to use instead', 'Use the newest version.'],
      ['--sunset <time>', 'when it will no longer be accepted'],
      ['--undo', 'take the deprecation back'],
    ],
    load: async () => (await import('./contracts.ts')).deprecate,
  },
  {
    under: 'contracts',
    name: 'default-compatibility [mode]',
    description: 'the compatibility mode of contracts that set none; with a mode, change it',
    example: 'aios contracts default-compatibility FULL',
    load: async () => (await import('./contracts.ts')).defaultCompatibility,
  },
  {
    under: 'contracts',
    name: 'asyncapi',
    description:
      'the events that the system receives and sends, as an AsyncAPI 3.0 document (--json for JSON)',
    example: 'aios contracts asyncapi',
    load: async () => (await import('./contracts.ts')).asyncapi,
  },
  {
    under: 'contracts',
    name: 'quality <type>',
    description: 'the results of the measured quality rules of a contract (exit code 1 while one fails)',
    example: 'aios contracts quality order.placed',
    load: async () => (await import('./quarantine.ts')).quality,
  },
  {
    name: 'quarantine [ids...]',
    description:
      'events in quarantine; with ids, or --release and --type, release those that fit their contract now, in the order in which they came',
    example: 'aios quarantine --type order.placed --release',
    options: [
      ['--type <type>', 'of this contract'],
      ['--status <status>', 'open, released or discarded', 'open'],
      ['--release', 'with --type: all open events of that contract'],
      ['--discard <reason>', 'discard the events instead'],
      ['--limit <count>', 'how many to list', '50'],
    ],
    load: async () => (await import('./quarantine.ts')).quarantine,
  },
];
