import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntimes, RUNTIME_KINDS } from '../app/stations/runtimes.ts';
import { Outgoing } from '../connectors/outgoing.ts';
import { systemClock } from '../kernel/clock.ts';
import { LOGISTIC, serveModels } from '../serving/runtimes/remote-under-test.ts';
import { createServing, type Serving } from '../serving/traffic/serving.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { modelMigrations } from './lanes.ts';
import { createModels, type Models } from './models.ts';

const by = { kind: 'key', id: 'key_1' };
const headers = { authorization: `\${secrets.KEY}` };

describe('from an endpoint to a score', () => {
  let database: TestDatabase;
  let doors: Awaited<ReturnType<typeof serveModels>>;
  const opened: { models: Models; serving: Serving; outgoing: Outgoing }[] = [];
  const open = (allowPrivate: string[]) => {
    const { db, commit, limits } = database;
    const outgoing = new Outgoing({ limits, allowPrivate });
    const runtimes = createRuntimes(limits, outgoing, (_, name) =>
      name === 'KEY' ? 'Bearer the-key' : undefined,
    );
    const models: Models = createModels({
      db,
      commit,
      limits,
      clock: systemClock,
      definitions: new Definitions(db),
      runtimes: RUNTIME_KINDS,
      verify: ({ runtime, artifact, ...model }) =>
        serving.verify(runtime, { ...model, load: async () => artifact }),
      record: () => [],
      prepare: (name, version) => serving.load(name, version),
    });
    const serving: Serving = createServing({ models, runtimes, limits });
    opened.push({ models, serving, outgoing });
    return { models, serving };
  };

  beforeAll(async () => {
    database = await createTestDatabase([...definitionMigrations, ...modelMigrations]);
    doors = await serveModels({ logistic: LOGISTIC });
  });
  afterAll(async () => {
    for (const { serving, outgoing } of opened) {
      serving.close();
      await outgoing.close();
    }
    await Promise.all([doors.close(), database.close()]);
  });

  const signature = {
    features: ['orders', 'returns'],
    results: { risk: { output: 'probabilities', column: 0 } },
  };

  it.each(['http', 'grpc'] as const)('keeps what ran there, and scores there (%s)', async (protocol) => {
    const { models, serving } = open(['127.0.0.1']);
    const endpoint = { url: doors[protocol], protocol, model: 'logistic', headers };
    const name = `far-${protocol}`;
    const made = await models.register({ name, runtime: 'oip', endpoint, signature, by });
    expect(made).toMatchObject({ version: 1, runtime: 'oip', endpoint, signature: LOGISTIC_SIGNATURE });
    await models.promote({ name, alias: 'champion', version: 1, by });
    const score = await serving.score({ model: name, features: { orders: 1.5, returns: 1 } });
    expect(score).toMatchObject({ model: name, version: 1, outputs: { risk: 0.5 } });
  });

  it.each([
    ['a server that is away', { url: 'http://127.0.0.1:9' }, 'models.endpoint_unavailable'],
    ['a server without the model', { model: 'unknown' }, 'models.endpoint_refused'],
    ['a server that does not take the key', { headers: {} }, 'models.endpoint_refused'],
    [
      'a secret that is not set',
      { headers: { authorization: `\${secrets.OTHER}` } },
      'connectors.variable_unset',
    ],
    ['a credential that is written down', { headers: { authorization: 'Bearer abc' } }, 'models.invalid'],
    ['an endpoint of another form', { path: '/' }, 'models.invalid'],
  ])('refuses %s and keeps nothing', async (_, members, code) => {
    const { models } = open(['127.0.0.1']);
    const endpoint = { url: doors.http, model: 'logistic', headers, ...members };
    const registered = models.register({ name: 'refused', runtime: 'oip', endpoint, by });
    await expect(registered).rejects.toMatchObject({ code });
    await models.reload();
    expect(models.list().map(({ name }) => name)).not.toContain('refused');
  });

  it.each([
    ['oip', 'http'],
    ['oip', 'grpc'],
    ['http', undefined],
  ])('calls no private address that is not allowed by name (%s %s)', async (runtime, protocol) => {
    const { models } = open([]);
    const endpoint = {
      url: protocol === 'grpc' ? doors.grpc : doors.http,
      ...(protocol && { protocol }),
      headers,
    };
    const declared = { inputs: LOGISTIC.inputs, outputs: LOGISTIC.outputs };
    const registered = models.register({ name: 'private', runtime, endpoint, signature: declared, by });
    await expect(registered).rejects.toMatchObject({ code: 'connectors.egress_refused' });
  });
});

const LOGISTIC_SIGNATURE = { inputs: LOGISTIC.inputs, outputs: LOGISTIC.outputs };
