import { type ErrorRow, row } from './error-row.ts';

/** Errors of the lineage graph and of what other systems tell it. */
export const LINEAGE_ERRORS = {
  'lineage.unknown_node': row(
    404,
    'The graph has no such node',
    'Name it kind:name as the graph does; `near` has names that are close to it.',
  ),
} as const satisfies Record<string, ErrorRow>;
