import { again, type ErrorRow, row } from './error-row.ts';

/** Errors that keep a process from starting (`aios start` ends with them), and what a client finds before a server answers. */
export const START_ERRORS = {
  'start.setting': row(
    400,
    'A setting of the server cannot be used',
    'Correct the variable that the detail names: docs/operations.md, “Configuration”, says what each accepts.',
  ),
  'start.port_in_use': row(
    409,
    'Another program uses this address',
    'Stop it, or choose another port with the variable that the detail names; 0 picks a free one.',
  ),
  'start.database': again(
    503,
    'The database of AIOS_DATABASE_URL cannot be used',
    'Check its host, port, user, password and name. Without the variable AIOS runs a Postgres of its own.',
  ),
  'start.schema': row(
    409,
    'The database was made by another version of AIOS',
    'Start that version or a newer one; to go back to an older one, restore a backup that it made.',
  ),
  'start.embedded': row(
    500,
    'The Postgres that comes with AIOS cannot be started',
    'The detail says why. To use a Postgres of your own (14 or later) instead, set AIOS_DATABASE_URL.',
  ),
  'start.folder': row(
    500,
    'The data folder cannot be used',
    'Set AIOS_DATA_DIR to a folder that this user may write, on a disk with about 500 MB free.',
  ),
  'stop.unfinished': row(
    500,
    'A part of the server could not be stopped cleanly',
    'The detail says why; most often its database was away. What was acknowledged is in the database, and the next start goes on from there.',
  ),
  'client.address': row(
    400,
    'The address of the server is not valid',
    'Write it with its scheme and port, as in http://127.0.0.1:7700 (--url, AIOS_URL).',
  ),
  'client.unreachable': again(
    503,
    'No server answers at the address',
    'Start AIOS with `npm start`, or name another server with --url (AIOS_URL).',
  ),
  'client.file': row(
    400,
    'The file cannot be used',
    'Check the path: a relative path starts at the folder in which the command runs.',
  ),
  'client.not_aios': row(
    502,
    'Something other than AIOS answers at the address',
    'Name the address of AIOS with --url (AIOS_URL); a proxy before it must pass its answers on.',
  ),
} as const satisfies Record<string, ErrorRow>;
