// Loaded into the server by `--import`: counts what it asks of Postgres, and writes the number down when it gets SIGUSR2.
import { writeFileSync } from 'node:fs';
import pg from 'pg';

const file = process.env.AIOS_BENCH_STATEMENTS;
let count = 0;
const { query } = pg.Client.prototype;
pg.Client.prototype.query = function (this: pg.Client, ...values: unknown[]) {
  count++;
  return Reflect.apply(query, this, values);
} as typeof query;
if (file) process.on('SIGUSR2', () => writeFileSync(file, String(count)));
