import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kindsOf } from '../src/app/stations/stations.ts';
import { runCli } from '../src/cli/program.ts';
import { readProject } from '../src/cli/projects.ts';
import { Contracts } from '../src/contracts/contracts.ts';
import { compileTable } from '../src/decisions/table.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { Definitions, definitionMigrations } from '../src/store/definitions.ts';
import { planProject } from '../src/store/project.ts';
import { warningsOf } from '../src/store/project-warnings.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';
import { decidePrimitive } from '../src/workflow/catalog/decide.ts';
import { humanTaskPrimitive } from '../src/workflow/catalog/human-task.ts';
import { catalogOf } from '../src/workflow/catalog/primitive.ts';
import { testFlows } from '../src/workflow/engine/flow-tests.ts';
import { runCommand } from './command-line.ts';

describe('a first project', () => {
  let database: TestDatabase;
  let parent: string;
  const folder = () => join(parent, 'ann’s project'); // a name that a shell would take apart
  beforeAll(async () => {
    database = await createTestDatabase(definitionMigrations);
    parent = await mkdtemp(join(tmpdir(), 'aios-first-'));
    expect(await runCommand(['init', folder()])).toEqual({
      code: 0,
      said: expect.stringContaining(`npx aios apply '${folder()}'`),
    });
  });
  afterAll(async () => {
    await database.close();
    await rm(parent, { recursive: true });
  });

  it('plans without a fault or a warning', async () => {
    const definitions = new Definitions(database.db);
    const none = undefined as never; // parsing calls no port
    const catalog = catalogOf([decidePrimitive(none, none), humanTaskPrimitive(none, none)]);
    const kinds = kindsOf(new Contracts(definitions, async () => 'BACKWARD', limitsFrom()), catalog, none);
    const files = (await readProject(folder())).map(({ path, base64 }) => ({
      path,
      bytes: Buffer.from(base64, 'base64'),
    }));
    const planned = await planProject(files, kinds, definitions);
    expect(planned.map(({ kind }) => kind).sort()).toEqual([
      'contract',
      'decision',
      'project',
      'queue',
      'workflow',
    ]);
    expect(warningsOf(planned, { kinds, definitions, registered: () => [] })).toEqual([]);
  });

  it('has tests that pass', async () => {
    expect(
      await runCli(['--json', 'workflows', 'test', folder()], async () => 1, {
        testFlows,
        evaluateTable: async (body, input) => compileTable(body).evaluate(input),
      }),
    ).toBe(0);
  });

  it('tells what to type, each file that it names among them', async () => {
    const readme = await readFile(join(folder(), 'README.md'), 'utf8');
    const named = [...readme.matchAll(/my-project\/(\S+)/g)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(0);
    expect(await readdir(folder())).toEqual(expect.arrayContaining(named));
  });

  it('is never laid over what is there', async () => {
    const { code, said } = await runCommand(['init', folder()]);
    expect([code, said]).toEqual([
      1,
      expect.stringMatching(/is not empty \(README\.md, aios\.yaml, contracts …\): name a new folder/),
    ]);
  });
});
