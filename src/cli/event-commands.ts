import type { CommandRow } from './command-row.ts';

/** What `aios events` holds. */
export const EVENT_COMMANDS: readonly CommandRow[] = [
  {
    under: 'events',
    name: 'replay',
    description:
      'replay a part of the log to a consumer group or a flow; without --yes, only count the events',
    example: 'aios events replay --workflow returns --from 2026-01-01 --yes',
    options: [
      ['--consumer <group>', 'a consumer group that can receive events again'],
      ['--workflow <name>', 'a flow: starts runs, marked as replays'],
      ['--from <time>', 'events recorded at this time or later (default: all that are still kept)'],
      ['--offsets <list>', 'start at these offsets instead: one per partition, separated by commas'],
      ['--until <time>', 'events recorded before this time (default: now)'],
      ['--type <name...>', 'only events of these types'],
      ['--filter <expression>', 'only events for which this CEL expression is true'],
      ['--reset', 'move the group itself to that position, instead of replaying beside it'],
      ['--yes', 'do it'],
    ],
    load: async () => (await import('./events.ts')).replay,
  },
  {
    under: 'events',
    name: 'search',
    description: 'search the log, newest first',
    example: "aios events search --type order.placed --filter 'data.total > 100.0'",
    options: [
      [
        '--filter <expression>',
        "CEL over the event, as in event.type == 'order.placed' && data.total > 100.0",
      ],
      ['--type <name>', 'of this type'],
      ['--source <name>', 'of this source'],
      ['--subject <name>', 'of this subject'],
      ['--from <time>', 'recorded at this time or later'],
      ['--until <time>', 'recorded before this time'],
      ['--limit <count>', 'how many', '20'],
    ],
    load: async () => (await import('./events.ts')).search,
  },
  {
    under: 'events',
    name: 'replays [id]',
    description: 'list replays; with an id, show one',
    example: 'aios events replays REPLAY --cancel',
    options: [
      ['--cancel', 'cancel it; what it has already delivered stays'],
      ['--limit <count>', 'how many', '50'],
    ],
    load: async () => (await import('./events.ts')).replays,
  },
  {
    under: 'events',
    name: 'groups',
    description: 'list consumer groups with their lag and the number of processes that work on each',
    example: 'aios events groups',
    load: async () => (await import('./events.ts')).groups,
  },
  {
    under: 'events',
    name: 'segments',
    description: 'list the segments of the log, each with the groups that have not read it',
    example: 'aios events segments',
    load: async () => (await import('./events.ts')).segments,
  },
  {
    name: 'bridges [name]',
    description:
      'list bridges to other systems and their state; with a name, show one, pause, resume or restart it, or change its position',
    example: 'aios bridges orders --pause',
    options: [
      ['--pause', 'stop it until it is resumed; it keeps its position'],
      ['--resume', 'resume it where it stopped'],
      ['--restart', 'restart it in every process, with the current secrets'],
      [
        '--position <json>',
        'continue from a position that the bridge has shown before: of a source, or the space of a sink',
      ],
      [
        '--reset',
        'make a source start over, or a sink forget its position on the other side; events already in the log are not added again',
      ],
    ],
    load: async () => (await import('./bridges.ts')).bridges,
  },
  {
    name: 'webhooks [id]',
    description: 'list webhooks; with an id, show the deliveries that failed, or change it',
    example: 'aios webhooks --create https://example.com/hook --type return.decided',
    options: [
      ['--create <url>', 'send events there from now on; the secret is shown once'],
      ['--type <name...>', 'with --create: only events of these types'],
      ['--filter <expression>', 'with --create: only events for which this CEL expression is true'],
      ['--enable', 'send again, from now on'],
      ['--disable', 'send nothing more'],
      ['--rotate', 'give it a new secret; the old one stays valid for a day'],
      ['--delete', 'delete it'],
      ['--retry <delivery>', 'retry a delivery now'],
      ['--limit <count>', 'how many deliveries', '50'],
    ],
    load: async () => (await import('./webhooks.ts')).webhooks,
  },
];
