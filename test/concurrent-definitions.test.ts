import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type App, createApp } from '../src/app/app.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';

/** Two servers over one database: what one accepts the other has not seen yet. */
describe('definitions that are changed at one time', () => {
  const apps: App[] = [];
  let folder: string;
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase([]);
    folder = await mkdtemp(join(tmpdir(), 'aios-definitions-'));
    for (let n = 0; n < 2; n++) {
      apps.push(
        await createApp({
          dataDir: folder,
          databaseUrl: database.url,
          host: '127.0.0.1',
          port: 0,
          limits: limitsFrom(),
        }),
      );
    }
    for (const app of apps) app.ready();
  }, 60_000);
  afterAll(async () => {
    await Promise.all(apps.map((app) => app.stop()));
    await database?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const put = async (app: App, name: string, version: string, type: string) => {
    const schema = { type: 'object', properties: { a: { type } } };
    const response = await fetch(`${app.url}/api/v1/contracts/${name}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${app.adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name, version, owner: 'o', schema }),
    });
    const { code } = (await response.json()) as { code?: string };
    return code ?? response.status;
  };
  const bodiesOf = async (name: string) => {
    const versions = await apps[0]!.stations.definitions.versions('contract', name);
    return versions.map(({ body }) => (body as { version: string }).version);
  };

  it.each([
    ['one server', [0, 0]],
    ['two servers', [0, 1]],
  ])('hold no two bodies of one version of a contract, by %s', async (label, [first, second]) => {
    for (let round = 0; round < 6; round++) {
      const name = `${label.replace(' ', '-')}.t${round}`;
      const answers = await Promise.all([
        put(apps[first!]!, name, '1.0.0', 'string'),
        put(apps[second!]!, name, '1.0.0', 'number'),
      ]);
      expect(answers.toSorted()).toEqual([200, 'contracts.incompatible']);
      expect(await bodiesOf(name)).toEqual(['1.0.0']);
    }
  });

  it('are planned again when others changed something else', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => put(apps[n % 2]!, `apart.t${n}`, '1.0.0', 'string')),
    );
    expect(answers).toEqual(answers.map(() => 200));
  });
});
