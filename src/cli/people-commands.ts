import type { CommandRow } from './program.ts';

/** Where people answer, and what is made of their answers. */
export const PEOPLE_COMMANDS: readonly CommandRow[] = [
  {
    name: 'inbox [id]',
    description: 'what waits for you; with an id, show one and do with it what the options say',
    example: `aios inbox TASK --claim --complete '{"outcome":"refuse","reason":"Late."}'`,
    options: [
      ['--queue <name>', 'only this queue'],
      ['--all', 'everybody’s tasks, deferred ones too'],
      ['--limit <count>', 'how many', '50'],
      ['--history', 'show what happened to it'],
      ['--claim', 'claim it'],
      ['--release', 'release it'],
      ['--complete <json>', 'answer it; @file reads the answer'],
      ['--return <question>', 'send it back to the requester with a question'],
      ['--delegate <person>', 'hand it to another, who answers for you'],
      ['--hand-back', 'give what was handed to you back to its owner'],
      ['--assign <person>', 'assign it to somebody (leads)'],
      ['--priority <number>', '0 to 100, higher first (leads)'],
      ['--follow-up <when>', 'defer it until then: 2d, a date and time, or none'],
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
    example: 'aios quality return-review --from 2026-01-01',
    options: [
      ['--from <time>', 'the beginning of the period; 30 days back when left out'],
      ['--to <time>', 'its end'],
    ],
    load: async () => (await import('./quality.ts')).quality,
  },
  {
    name: 'labels <verb>',
    description: 'labels export --queue <name>: the answers of people as JSON lines',
    example: 'aios labels export --queue return-review',
    options: [
      ['--queue <name>', 'whose answers'],
      ['--from <time>', 'the beginning of the period; 30 days back when left out'],
      ['--to <time>', 'its end'],
    ],
    load: async () => (await import('./quality.ts')).labels,
  },
];
