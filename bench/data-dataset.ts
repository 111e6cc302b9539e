import { execFile } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { datasetKind } from '../src/features/datasets/dataset-kind.ts';
import { entityKind, featureViewKind } from '../src/features/definitions.ts';
import { featureMigrations } from '../src/features/migrations.ts';
import { DuckDb, literal } from '../src/features/offline/duckdb.ts';
import { readDocument } from '../src/kernel/document.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { type ConnectionTarget, openDatabase } from '../src/store/database.ts';
import type { DefinitionKind } from '../src/store/definition-kind.ts';
import { Definitions, definitionMigrations } from '../src/store/definitions.ts';
import { startEmbeddedPostgres } from '../src/store/embedded.ts';
import { GroupCommit } from '../src/store/group-commit.ts';
import { migrate } from '../src/store/migrations.ts';
import { temporaryFolder } from './product.ts';
import type { BenchOptions, Figures } from './run.ts';

const run = promisify(execFile);
const ROWS = 1_000_000;
const CUSTOMERS = 20_000;
/** With the key, the time and a label: 20 columns. */
const FEATURES = 17;
const SIDE_MS = 900_000;

const features = Array.from({ length: FEATURES }, (_, at) => `  f${at}: { type: float64 }`).join('\n');
const DEFINITIONS: [DefinitionKind, string][] = [
  [entityKind, 'name: customer\njoinKeys: [customer]\ntypes: { customer: int64 }'],
  [
    featureViewKind,
    `name: filed\nentity: customer\nsource: { parquet: features.parquet, timestamp: at }\nonline: false\nfeatures:\n${features}`,
  ],
  [featureViewKind, `name: pushed\nentity: customer\nsource: { push: pushed }\nfeatures:\n${features}`],
  [datasetKind, 'name: filed\nviews: [filed]\nlabels: [label]'],
  [datasetKind, 'name: pushed\nviews: [pushed]\nlabels: [label]'],
];

type Target = Exclude<ConnectionTarget, { connectionString: string }>;

interface Side {
  ms: number;
  peakMb: number;
  rows: number;
}

/**
 * The most memory of a process that makes a version of a dataset: 1M entity rows of a Parquet file, 20 columns, their features from another file and from
 * Postgres. Each is made by a process of its own.
 */
export async function bench({ progress }: BenchOptions): Promise<Figures> {
  const { path, dispose } = await temporaryFolder();
  const folder = await realpath(path);
  const postgres = await startEmbeddedPostgres({ dataDir: `${folder}/postgres` });
  try {
    await prepare(postgres.target, folder);
    const { host, port, user, password, database } = postgres.target as Target;
    const address = `postgresql://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
    const sides: Side[] = [];
    for (const dataset of ['filed', 'pushed']) {
      const script = join(import.meta.dirname, 'data-dataset-side.ts');
      const { stdout } = await run(process.execPath, [script, address, folder, dataset], {
        timeout: SIDE_MS,
      });
      const side = JSON.parse(stdout) as Side;
      progress(
        `${dataset}: ${side.rows} rows, ${Math.round(side.ms)} ms, ${Math.round(side.peakMb)} MiB at most`,
      );
      sides.push(side);
    }
    return {
      datasetPeakMb: Math.round(Math.max(...sides.map(({ peakMb }) => peakMb))),
      datasetFilesMs: Math.round(sides[0]!.ms),
      datasetPushedMs: Math.round(sides[1]!.ms),
    };
  } finally {
    await postgres.stop();
    await dispose();
  }
}

/** The definitions, the files, and what was pushed: five rows of each customer in each. */
async function prepare(target: ConnectionTarget, folder: string): Promise<void> {
  await migrate(target, [...definitionMigrations, ...featureMigrations]);
  const db = await openDatabase(target, 2);
  const commit = new GroupCommit(db, limitsFrom());
  const definitions = new Definitions(db);
  for (const [kind, source] of DEFINITIONS) {
    const { name, body } = kind.parse(readDocument(source, `${kind.folder}/x.yaml`), new Map());
    await commit.commit([definitions.put({ kind: kind.kind, name, body, source, createdBy: 'bench' })]);
  }
  await db.queryDynamic(
    `insert into feature_pushed (view, entity, time_ms, created_ms, feature_values)
     select 'pushed', (n % ${CUSTOMERS})::text, 1735689600000 + (n / ${CUSTOMERS}) * 86400000::bigint, 0,
       (select json_object_agg('f' || f, random() + n * 0) from generate_series(0, ${FEATURES - 1}) f) from generate_series(0, ${CUSTOMERS * 5 - 1}) n`,
  );
  await db.queryDynamic('analyze feature_pushed');
  await commit.close();
  await db.close();
  await using duck = await DuckDb.open({ folders: [folder], limits: limitsFrom() });
  const values = Array.from({ length: FEATURES }, (_, at) => `random() as f${at}`).join(', ');
  const day = (days: string) => `timestamptz '2025-01-01' + to_days((${days})::int)`;
  await duck.run(
    `copy (select (range % ${CUSTOMERS})::bigint as customer, ${day(`range // ${CUSTOMERS}`)} as at, ${values}
     from range(${CUSTOMERS * 5})) to ${literal(join(folder, 'features.parquet'))} (format parquet)`,
  );
  await duck.run(
    `copy (select (hash(range) % ${CUSTOMERS})::bigint as customer, ${day('1 + hash(range * 7) % 30')} as timestamp, range::bigint as label
     from range(${ROWS})) to ${literal(join(folder, 'entities.parquet'))} (format parquet)`,
  );
}
