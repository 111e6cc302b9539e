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
    'Another program is using this address',
    'Stop it, or choose another port with the variable that the detail names; 0 picks a free one.',
  ),
  'start.database': again(
    503,
    'The database in AIOS_DATABASE_URL cannot be used',
    'Check its host, port, user, password and name. Without the variable AIOS starts its embedded Postgres.',
  ),
  'start.schema': row(
    409,
    'The database was made by another version of AIOS',
    'Start that version or a newer one; to return to an older version, restore a backup made with it. To begin with an empty database, set AIOS_DATA_DIR to another folder.',
  ),
  'start.embedded': row(
    500,
    'The embedded Postgres cannot be started',
    'The detail says why. To use your own Postgres (14 or later) instead, set AIOS_DATABASE_URL.',
  ),
  'start.folder': row(
    500,
    'The data folder cannot be used',
    'Set AIOS_DATA_DIR to a folder that this user may write to, on a disk with about 500 MB free.',
  ),
  'stop.unfinished': row(
    500,
    'A part of the server could not be stopped cleanly',
    'The detail says why; most often the database was not available. Everything that was acknowledged is in the database, and the next start continues from there.',
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
    'Check the path: a relative path is resolved against the folder in which the command runs.',
  ),
  'client.not_aios': row(
    502,
    'Something other than AIOS answers at the address',
    'Give the address of AIOS with --url (AIOS_URL); a proxy in front of it must pass its answers through.',
  ),
} as const satisfies Record<string, ErrorRow>;
