import { again, type ErrorRow, row } from './error-row.ts';

/** Errors of requests, definitions, the store, access and the ledger. */
export const GROUND_ERRORS = {
  internal: again(
    500,
    'An unexpected error occurred',
    'Try again; if it persists, report it with its `requestId`: the log shows the cause under that id.',
    'Try again; if it persists, report it with the id of the request: the log shows the cause under that id.',
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
  'request.inexact_number': row(
    400,
    'An integer is too large to be stored exactly',
    'Send it as a string, and let its contract or schema accept a string there. `issues` names each such number; integers up to 2^53 are exact.',
    'Send it as a string, and let its contract or schema accept a string there; integers up to 2^53 are exact.',
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
    'Ask for bytes within the file: `Content-Range` gives its size.',
  ),
  'request.not_found': row(
    404,
    'There is nothing at this address',
    'See /api/v1/openapi.json for the routes.',
    'Load the page again: it may be of another version than the AIOS that answers it.',
  ),
  'request.method': row(
    405,
    'The address does not support this method',
    'Use one of the methods in `allow` (also in the header `Allow`).',
    'Load the page again: it may be of another version than the AIOS that answers it.',
  ),
  'request.timeout': again(
    504,
    'No answer came within the requested time',
    'Try again, or get the run by its id.',
  ),
  'request.overloaded': again(
    429,
    'Too many requests are waiting',
    'Wait for Retry-After seconds, then send again.',
    'Wait a moment, then try again.',
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
    'Choose one that there is, or apply the project that defines it.',
  ),
  'definition.duration': row(
    400,
    'This is not a duration',
    'Write it as 90d, 30s, or in ISO 8601 without years and months, such as PT30S; at most 365,000 days.',
  ),
  'definition.reference': row(
    400,
    'The definition names something that does not exist',
    'Define it, in this project or in one applied before.',
  ),
  'expression.syntax': row(
    400,
    'The expression is not valid',
    'See the detail for the position of the error; expressions are written in CEL.',
  ),
  'expression.failed': row(
    422,
    'The expression failed on this value',
    'For fields that may be missing use has(a.b) or a.?b.orValue(0).',
  ),
  'store.too_slow': row(
    503,
    'The database query took longer than is allowed',
    'Narrow it: a shorter time range, one flow, one status. The limit is statementMs.',
  ),
  'store.unavailable': again(
    503,
    'The database does not answer',
    'AIOS keeps trying; see the log for the cause.',
  ),
  'store.refused_value': row(
    422,
    'The database refused a value',
    'The detail names the value; NUL characters in text are the usual cause.',
  ),
  'store.in_use': row(
    409,
    'Another AIOS process is using this data folder',
    'Stop it, or give this one its own folder with AIOS_DATA_DIR.',
  ),
  'store.conflict': again(409, 'Another change came first', 'Read the current state and try again.'),
  'access.unauthenticated': row(
    401,
    'The request has no valid API key or session',
    'Send Authorization: Bearer aios_…; `aios start` prints where the admin key is.',
    'Paste a whole key, which begins with “aios_”, or have whoever runs AIOS send you a new link.',
  ),
  'access.expired': row(
    401,
    'The key has expired',
    'Ask an admin for a new one (`aios keys --create`); an expired key cannot be renewed.',
    'Ask an admin for a new one, which the page “Keys” makes; an expired key cannot be renewed.',
  ),
  'access.unknown_key': row(
    404,
    'There is no such key',
    'List the keys: aios keys, or /api/v1/keys.',
    'The page “Keys” lists them.',
  ),
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
    'Get the checkpoint first: it says how many entries there are.',
    'The page “Audit” lists the entries that there are.',
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
