import { again, type ErrorRow, row } from './error-row.ts';

/** Errors of requests, definitions, the store, access and the ledger. */
export const GROUND_ERRORS = {
  internal: again(
    500,
    'An unexpected error occurred',
    'Try again; if it persists, report it with its `requestId`: the log shows the cause under that id.',
  ),
  'request.malformed': row(
    400,
    'The body is not valid JSON',
    'Send UTF-8 JSON; the detail says where parsing stopped.',
  ),
  'request.invalid': row(
    400,
    'The request does not fit its schema',
    'See `issues`: each names a path and what was expected there.',
  ),
  'request.too_large': row(
    413,
    'The body is over the limit',
    'Send less; `limitName` and `limit` name the limit.',
  ),
  'request.too_deep': row(
    400,
    'The JSON is nested too deep',
    'Flatten it, or send the inner part as a string; `limitName` and `limit` name the limit.',
  ),
  'request.media_type': row(
    415,
    'The content type is not supported here',
    'Send one of the types named in the detail.',
  ),
  'request.range': row(
    416,
    'The range lies outside the file',
    'Ask for bytes that are there: `Content-Range` says how many.',
  ),
  'request.not_found': row(
    404,
    'There is nothing at this address',
    'See /api/v1/openapi.json for the routes.',
  ),
  'request.method': row(
    405,
    'The address takes other methods',
    'Use one of the methods in `allow` (also in the header `Allow`).',
  ),
  'request.timeout': again(
    504,
    'No answer came within the time asked for',
    'Ask again, or ask for the run by its id.',
  ),
  'request.overloaded': again(
    429,
    'More is waiting than the limit allows',
    'Wait for Retry-After seconds, then send again.',
  ),
  'definition.syntax': row(
    400,
    'The document is not valid YAML or JSON',
    'See `issues` for file, line and column; the usual cause is a line with the wrong indentation.',
  ),
  'definition.invalid': row(
    400,
    'The definition does not fit its schema',
    'See `issues`: each names file, line, path and what was expected.',
  ),
  'definition.unknown_kind': row(
    400,
    'There is no such kind of definition',
    'Use one of the kinds named in the detail.',
  ),
  'definition.not_found': row(
    404,
    'There is no such definition',
    'List what exists, or apply the project that defines it.',
  ),
  'definition.duration': row(
    400,
    'The text is not a duration',
    'Write 90d, 30s, or ISO 8601 without years and months, such as PT30S.',
  ),
  'definition.reference': row(
    400,
    'The definition names something that does not exist',
    'Define what it names, in this project or before it.',
  ),
  'expression.syntax': row(
    400,
    'The expression does not parse',
    'See `detail` for the place; expressions are CEL.',
  ),
  'expression.failed': row(
    422,
    'The expression failed on this value',
    'Guard missing fields with has(a.b) or a.?b.orValue(0).',
  ),
  'store.too_slow': row(
    503,
    'The query took the database longer than is allowed',
    'Narrow it: a shorter time, a flow, a status. The limit is statementMs.',
  ),
  'store.unavailable': again(
    503,
    'The database does not answer',
    'It is retried; see the log for the cause.',
  ),
  'store.refused_value': row(
    422,
    'The database refused a value',
    'The detail names the value; NUL characters in text are the usual cause.',
  ),
  'store.in_use': row(
    409,
    'Another AIOS uses this data folder',
    'Stop it, or give this one a folder of its own with AIOS_DATA_DIR.',
  ),
  'store.conflict': again(409, 'Another change came first', 'Read the current state and try again.'),
  'access.unauthenticated': row(
    401,
    'No valid key or session',
    'Send Authorization: Bearer aios_…; `aios start` prints where the admin key is.',
  ),
  'access.expired': row(
    401,
    'The key has expired',
    'Ask an admin for a new one (`aios keys --create`); an expired key cannot be renewed.',
  ),
  'access.unknown_key': row(404, 'There is no such key', 'List the keys: aios keys, or /api/v1/keys.'),
  'access.key_format': row(
    400,
    'The text is not an AIOS key',
    'Let AIOS make one: leave AIOS_ADMIN_KEY out at the first start.',
  ),
  'access.foreign_host': row(
    421,
    'The Host header names another server',
    'Use the address that AIOS printed, or add the name to AIOS_HOSTS.',
  ),
  'access.foreign_origin': row(
    403,
    'The request comes from another site',
    'Use the console itself, or an API key.',
  ),
  'access.forbidden': row(
    403,
    'The key lacks the permission',
    'Use a key with a role that has the permission named in the detail.',
  ),
  'ledger.entry_too_large': row(
    413,
    'The audit entry is over the limit of the log format',
    'Shorten the name of the object; the payload itself is kept outside the entry.',
  ),
  'ledger.not_found': row(
    404,
    'The audit log has no such entry, tile or proof',
    'Ask for the checkpoint first: it says how many entries there are.',
  ),
  'ledger.other_keys': row(
    500,
    'The keys in the data folder are not those that this database was created with',
    'Give every process over one database the same ledger-master.key and ledger-signing.pem (AIOS_DATA_DIR): copy both from the first, or from their backup.',
  ),
  'ledger.master_key': row(
    500,
    'The master key of the ledger is not valid',
    'Restore ledger-master.key in the data folder from its backup.',
  ),
} as const satisfies Record<string, ErrorRow>;
