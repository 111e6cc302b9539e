import { again, type ErrorRow, row } from './error-row.ts';

/** Errors that keep a process from starting: `aios start` ends with them. */
export const START_ERRORS = {
  'start.setting': row(
    400,
    'A setting of the server cannot be used',
    'Mend the variable that the detail names: the table “Configuration” of the README says what each takes.',
  ),
  'start.port_in_use': row(
    409,
    'Another program has this address',
    'Stop it, or choose another port with the variable that the detail names; 0 takes a free one.',
  ),
  'start.database': again(
    503,
    'The database of AIOS_DATABASE_URL cannot be used',
    'Check its host, port, user, password and name. Without the variable AIOS brings a Postgres of its own.',
  ),
  'start.folder': row(
    500,
    'The data folder cannot be used',
    'Set AIOS_DATA_DIR to a folder that this user may write, on a disk with some 500 MB of room.',
  ),
} as const satisfies Record<string, ErrorRow>;
