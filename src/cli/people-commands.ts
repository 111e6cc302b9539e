import type { CommandRow } from './command-row.ts';

/** Where people answer, and what is made of their answers. */
export const PEOPLE_COMMANDS: readonly CommandRow[] = [
  {
    name: 'inbox [id]',
    description: 'tasks that wait for you; with an id, show one and act on it with the options',
    example: `aios inbox TASK --claim --complete '{"outcome":"refuse","reason":"Late."}'`,
    options: [
      ['--queue <name>', 'only this queue'],
      ['--all', 'everybody’s tasks, including deferred ones'],
      ['--limit <count>', 'how many', '50'],
      ['--history', 'show its history'],
      ['--claim', 'claim it'],
      ['--release', 'release it'],
      ['--complete <json>', 'answer it; @file reads the answer'],
      ['--return <question>', 'send it back to the requester with a question'],
      ['--delegate <person>', 'delegate it to somebody else, who answers for you'],
      ['--hand-back', 'return a task that was delegated to you to its owner'],
      ['--assign <person>', 'assign it to somebody (for leads)'],
      ['--priority <number>', '0 to 100, higher first (for leads)'],
      ['--follow-up <when>', 'defer it until then: 2d, a date and time, or none'],
      ['--comment <text>', 'add a comment'],
      ['--attach <file>', 'attach a file'],
      ['--save <name>', 'save this attachment in the current folder'],
      ['--to <file>', 'save it to this file instead'],
    ],
    load: async () => (await import('./inbox.ts')).inbox,
  },
  {
    name: 'quality <queue>',
    description: 'how often the people of a queue agree with each other and with the suggestions',
    example: 'aios quality return-review --from 2026-01-01',
    options: [
      ['--from <time>', 'the beginning of the period (default: 30 days ago)'],
      ['--to <time>', 'its end'],
    ],
    load: async () => (await import('./quality.ts')).quality,
  },
  {
    name: 'labels <verb>',
    description: 'labels export --queue <name>: the answers of people as JSON lines',
    example: 'aios labels export --queue return-review',
    options: [
      ['--queue <name>', 'the queue whose answers to export'],
      ['--from <time>', 'the beginning of the period (default: 30 days ago)'],
      ['--to <time>', 'its end'],
    ],
    load: async () => (await import('./quality.ts')).labels,
  },
];
