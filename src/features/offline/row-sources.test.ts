import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { limitsFrom } from '../../kernel/limits.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { rowSourceConformance } from '../row-source-conformance.ts';
import type { GivenRows, SourceUnderTest } from '../row-source-conformance-world.ts';
import { TableSources } from '../table-source.ts';
import { DuckDb, identifier, literal } from './duckdb.ts';
import { FileSources } from './file-source.ts';
import { OfflineJobs } from './jobs.ts';

describe('sources of batch views', () => {
  let database: TestDatabase;
  let folder: string;
  const sources: FileSources[] = [];
  beforeAll(async () => {
    database = await createTestDatabase([]);
    folder = await mkdtemp(join(tmpdir(), 'aios-row-sources-'));
  });
  afterAll(async () => {
    for (const each of sources) await each.close();
    await database.close();
    await rm(folder, { recursive: true, force: true });
  });

  const files = (put: SourceUnderTest['put']): SourceUnderTest => {
    const source = new FileSources(new OfflineJobs([folder], limitsFrom('')));
    sources.push(source);
    return { source, tx: database.db, put };
  };

  rowSourceConformance('tables', async () => {
    const { db } = database;
    await db.query('create schema shop');
    return {
      source: new TableSources(db, ['shop']),
      tx: db,
      async put({ name, columns, keys, rows }) {
        const table = `shop.${identifier(name)}`;
        await db.queryDynamic(`drop table if exists ${table}`);
        await db.queryDynamic(`create table ${table} (${declared(columns)})`);
        await db.queryDynamic(`create index on ${table} (${keys.join(', ')})`);
        await db.queryDynamic(
          `insert into ${table} values ${rows.map((row) => `(${row.map(sqlOf).join(', ')})`).join(', ')}`,
        );
        return { table: `shop.${name}` };
      },
    };
  });

  rowSourceConformance('CSV files', async () =>
    files(async ({ name, columns, rows }) => {
      const lines = [Object.keys(columns), ...rows].map((row) => row.map(fieldOf).join(';'));
      await writeFile(join(folder, `${name}.csv`), `${lines.join('\n')}\n`);
      return { csv: `${name}.csv`, delimiter: ';' };
    }),
  );

  rowSourceConformance('Parquet files', async () =>
    files(async ({ name, columns, rows }) => {
      await using duck = await DuckDb.open({ folders: [folder], limits: limitsFrom('') });
      // One file per row and a half: a pattern is one source.
      await duck.run(`create table given (${declared(columns)})`);
      await duck.run(
        `insert into given values ${rows.map((row) => `(${row.map(sqlOf).join(', ')})`).join(', ')}`,
      );
      for (const half of [0, 1])
        await duck.run(
          `copy (select * from given where rowid % 2 = ${half}) to ${literal(join(folder, `${name}-${half}.parquet`))} (format parquet)`,
        );
      return { parquet: join(folder, `${name}-*.parquet`) };
    }),
  );
});

function declared(columns: GivenRows['columns']): string {
  return Object.entries(columns)
    .map(([name, type]) => `${identifier(name)} ${type}`)
    .join(', ');
}

function sqlOf(value: string | null): string {
  return value === null ? 'null' : literal(value);
}

function fieldOf(value: string | null): string {
  if (value === null) return '';
  return /^[\w.+:-]+$/.test(value) ? value : `"${value.replaceAll('"', '""')}"`;
}
