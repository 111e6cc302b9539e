import { type ErrorRow, row } from './error-row.ts';

/** Errors of the lineage graph and of what other systems tell it. */
export const LINEAGE_ERRORS = {
  'lineage.unknown_node': row(
    404,
    'The graph has no such node',
    'Write it as kind:name; `near` lists similar names.',
    'Name it kind:name as the graph does, or begin with a name that the page “Lineage” offers.',
  ),
  'lineage.invalid_event': row(
    400,
    'The event does not fit OpenLineage 2-0-2',
    'See `issues`: each names a path. Run, job and dataset events are accepted, one per request.',
  ),
  'lineage.event_too_large': row(
    413,
    'The event holds more edges, or a longer name, than is allowed',
    'Send fewer columns in one event; `limitName` and `limit` name the limit.',
  ),
} as const satisfies Record<string, ErrorRow>;
