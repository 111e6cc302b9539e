import { readFile } from 'node:fs/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { testAuthority } from '../../connectors/tls-under-test.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { type RedisUnderTest, redisProgram, startRedis, valkeyProgram } from '../../testing/redis.ts';
import { startTlsFront } from '../../testing/tls-front.ts';
import { featureMigrations } from '../migrations.ts';
import { type NewRow, PostgresOnlineStore } from '../online-store.ts';
import { onlineStoreConformance } from '../online-store-conformance.ts';
import { RedisOnlineStore } from './redis-online-store.ts';

const [redis, valkey] = await Promise.all([redisProgram(), valkeyProgram()]);
const authority = testAuthority();
const noRedis = redis && authority ? '' : ' (skipped: it needs openssl, and redis-server from a Debian)';
const noValkeyTls = valkey && authority ? '' : ' (skipped: it needs openssl, and valkey-server from PyPI)';
const noValkey = valkey ? '' : ' (skipped: no wheel of valkey-server on PyPI for this machine, or no PyPI)';
/** What docs/features.md says a user needs. */
const RIGHTS = '~aios:* +info +mget +get +set +del +time +eval +evalsha';

const opened: RedisOnlineStore[] = [];
const errors: string[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  errors.length = 0;
});

const fronts: { close(): Promise<void> }[] = [];
const servers: RedisUnderTest[] = [];
afterAll(async () => {
  for (const front of fronts) await front.close();
  for (const { server } of servers) await server.close();
});
const started = async (...of: Parameters<typeof startRedis>) => {
  const one = await startRedis(...of);
  servers.push(one);
  return one;
};

/** A store whose questions to Postgres are counted. */
function storeOver({ db, limits }: TestDatabase, url: string) {
  const counted = { asked: 0 };
  const inner = new PostgresOnlineStore({
    query: (text, values) => {
      counted.asked++;
      return db.query(text, values);
    },
  });
  const onError = (error: unknown) => void errors.push(String((error as Error).message));
  const store = new RedisOnlineStore({ inner, db, url, limits, onError });
  opened.push(store);
  return { store, counted };
}

/** Writes a row, and answers with what counts how often Postgres is asked to read it. */
async function written(database: TestDatabase, url: string): Promise<() => Promise<number>> {
  const { store, counted } = storeOver(database, url);
  const row: NewRow = { entity: 'a', timeMs: 1, createdMs: 0, validToMs: null, values: { score: 1 } };
  const told = await database.db.transaction((tx) => store.write(tx, 'written', [row]));
  told();
  return async () => {
    const before = counted.asked;
    expect((await store.read('written', ['a']))[0]?.values).toEqual({ score: 1 });
    return counted.asked - before;
  };
}

/** What holds of every server that is reached. */
const answersAlone = (database: () => TestDatabase, url: () => string) =>
  it('answers a user with the documented rights, without Postgres', async () => {
    const askedToRead = await written(database(), url());
    await vi.waitFor(async () => expect(await askedToRead()).toBe(0), { timeout: 15_000 });
    expect(errors).toEqual([]);
  });

describe.skipIf(!valkey)(`over Valkey${noValkey}`, async () => {
  const server = valkey && (await started(valkey, { user: { name: 'aios', rights: RIGHTS } }));
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase(featureMigrations);
  });
  afterAll(() => database?.close());

  onlineStoreConformance('Valkey', (of) => storeOver(of, server!.url).store);
  answersAlone(
    () => database,
    () => server!.url,
  );
});

const user = { name: 'aios', rights: RIGHTS };
const redisUrl = async () => (await started(redis!, { certificate: authority!, user })).url;
/** No wheel of Valkey, and no package of this Debian, has TLS built in. */
const valkeyUrl = async () => {
  const { server } = await started(valkey!, { user });
  const front = await startTlsFront(server.port, authority!);
  fronts.push(front);
  return `rediss://aios:secret@127.0.0.1:${front.port}`;
};

describe.each([
  { name: `Redis with TLS${noRedis}`, isHere: Boolean(redis && authority), open: redisUrl },
  { name: `Valkey behind TLS${noValkeyTls}`, isHere: Boolean(valkey && authority), open: valkeyUrl },
])('over $name', ({ name, isHere, open }) => {
  describe.skipIf(!isHere)('', () => {
    const trusted = getCACertificates('default');
    let server: { url: string };
    let database: TestDatabase;
    beforeAll(async () => {
      server = { url: await open() };
      setDefaultCACertificates([...trusted, await readFile(authority!.caFile, 'utf8')]);
      database = await createTestDatabase(featureMigrations);
    });
    afterAll(async () => {
      setDefaultCACertificates(trusted);
      await database?.close();
    });

    onlineStoreConformance(name, (of) => storeOver(of, server.url).store);
    answersAlone(
      () => database,
      () => server.url,
    );

    it.each([
      ['a wrong password', () => server.url.replace('secret', 'wrong'), /WRONGPASS/],
      ['a wrong user', () => server.url.replace('aios', 'nobody'), /WRONGPASS/],
      ['plain text', () => server.url.replace('rediss', 'redis'), /closed|ECONNRESET|EPIPE/i],
    ])('leaves features to Postgres, and says why, with %s', async (_, url, why) => {
      const askedToRead = await written(database, url());
      expect(await askedToRead()).toBe(1);
      expect(errors.join('\n')).toMatch(why);
    });

    it('leaves features to Postgres where the certificate is of an authority that nobody named, and says so', async () => {
      const known = getCACertificates('default');
      setDefaultCACertificates(trusted);
      try {
        const askedToRead = await written(database, server.url);
        expect(await askedToRead()).toBe(1);
        expect(errors.join('\n')).toMatch(/unable to verify the first certificate/);
      } finally {
        setDefaultCACertificates(known);
      }
    });
  });
});
