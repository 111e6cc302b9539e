import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { kindsOf } from '../src/app/stations/stations.ts';
import { readProject } from '../src/cli/projects.ts';
import { Contracts } from '../src/contracts/contracts.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { Definitions, definitionMigrations } from '../src/store/definitions.ts';
import { planProject } from '../src/store/project.ts';
import { warningsOf } from '../src/store/project-warnings.ts';
import { createTestDatabase } from '../src/testing/database.ts';
import { connectorPrimitive } from '../src/workflow/catalog/connector.ts';
import { decidePrimitive } from '../src/workflow/catalog/decide.ts';
import { featuresPrimitive } from '../src/workflow/catalog/features.ts';
import { humanTaskPrimitive } from '../src/workflow/catalog/human-task.ts';
import { inferPrimitive } from '../src/workflow/catalog/infer.ts';
import { catalogOf } from '../src/workflow/catalog/primitive.ts';

const folder = join(import.meta.dirname, '..', 'examples', 'returns');

it('the returns example is a project that plans without a fault, its decision tests included', async () => {
  const database = await createTestDatabase(definitionMigrations);
  const definitions = new Definitions(database.db);
  const none = undefined as never; // parsing calls no port
  const catalog = catalogOf([
    featuresPrimitive(none),
    inferPrimitive(none, none),
    decidePrimitive(none, none),
    humanTaskPrimitive(none, none),
    connectorPrimitive(none, none, none),
  ]);
  const kinds = kindsOf(new Contracts(definitions, async () => 'BACKWARD', limitsFrom()), catalog, none);
  const files = await Promise.all(
    (await readProject(folder)).map(async ({ path }) => ({
      path,
      bytes: await readFile(join(folder, path)),
    })),
  );
  const planned = await planProject(files, kinds, definitions);
  // A queue of runs would bound what the example shows, how fast it goes; a bridge needs a broker, a sink of lineage somebody who listens.
  const left = ['run-queue', 'bridge', 'lineage-sink'];
  const wanted = kinds.map(({ kind }) => kind).filter((kind) => !left.includes(kind));
  expect(new Set(planned.map(({ kind }) => kind))).toEqual(new Set(wanted));
  expect(planned.every(({ action }) => action === 'create')).toBe(true);
  expect(warningsOf(planned, { kinds, definitions, registered: () => [] })).toEqual([]);
  await database.close();
});
