import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Lane, write } from '../store/lane.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { Access, sessionCookie } from './access.ts';
import { checkBrowser } from './browser-guard.ts';
import { isSecret, newSecret } from './key-format.ts';
import { keyRevocationsLane } from './key-lanes.ts';
import { accessMigrations } from './migrations.ts';
import { PERMISSIONS, PERMISSIONS_OF, type Role } from './permissions.ts';

describe('secrets', () => {
  it('carry a checksum, so that a typing error is seen without a look-up', () => {
    const secret = newSecret('key');
    expect(secret).toMatch(/^aios_key_[0-9A-Za-z]{25}_[0-9A-Za-z]{6}$/);
    expect(isSecret(secret, 'key')).toBe(true);
    expect(isSecret(secret, 'session')).toBe(false);
    const at = 12;
    const typo = secret.slice(0, at) + (secret[at] === 'a' ? 'b' : 'a') + secret.slice(at + 1);
    expect(isSecret(typo, 'key')).toBe(false);
  });
});

describe('roles', () => {
  it.each<[Role, string[], string[]]>([
    ['viewer', ['runs.read', 'audit.read'], ['tasks.act', 'events.write', 'audit.payload']],
    ['reviewer', ['tasks.act', 'runs.read'], ['events.write', 'models.promote']],
    ['lead', ['tasks.act', 'tasks.assign'], ['events.write', 'keys.manage']],
    ['operator', ['events.write', 'models.promote', 'runs.control'], ['tasks.act', 'keys.manage']],
    ['admin', [...PERMISSIONS], []],
  ])('%s', (role, allowed, refused) => {
    expect(allowed.filter((permission) => !PERMISSIONS_OF[role].has(permission))).toEqual([]);
    expect(refused.filter((permission) => PERMISSIONS_OF[role].has(permission))).toEqual([]);
  });
});

describe('access', () => {
  let database: TestDatabase;
  let access: Access;
  beforeAll(async () => {
    database = await createTestDatabase(accessMigrations);
    access = new Access(database.db, database.limits, records());
  });
  afterAll(() => database.close());
  const recorded: object[] = [];
  const lane: Lane<object> = {
    name: 'recorded',
    order: 50,
    write: async (_tx, items) => {
      recorded.push(...items);
      return undefined;
    },
  };
  const records = () => ({ commit: database.commit, record: (change: object) => write(lane, change) });
  const by = (key: string) => access.authenticate(`Bearer ${key}`, undefined);

  it('knows a key by its hash only, until it is revoked', async () => {
    const { id, key } = await access.createKey('ci', ['operator'], 'test');
    expect(await by(key)).toMatchObject({ id, name: 'ci', kind: 'key', roles: ['operator'] });
    expect(JSON.stringify(await database.db.query('select * from access_keys'))).not.toContain(key);
    expect((await access.keys()).find((info) => info.id === id)).toMatchObject({
      lastUsedAt: expect.any(Number),
    });
    await access.revoke(id);
    await expect(by(key)).rejects.toMatchObject({ code: 'access.unauthenticated' });
    await expect(access.revoke(id)).rejects.toMatchObject({ code: 'access.unknown_key' });
  });

  it('lists what has ended, the last first, a page at a time, without the keys of trainings', async () => {
    const make = async (name: string, only?: Parameters<Access['createKey']>[4]) =>
      (await access.createKey(name, ['viewer'], 'test', [], only)).id;
    const end = Date.now() + 60_000;
    const expired = await make('expired', { expiresAt: end });
    const revoked = await make('revoked', { expiresAt: end });
    const training = { trainingRun: 'r', model: null, startedBy: null };
    const trained = await make('trained', { training });
    await make('in force', { expiresAt: end });
    expect((await access.keys()).find(({ id }) => id === trained)).toMatchObject({ trainingRun: 'r' });
    await access.revoke(trained);
    await access.revoke(revoked, 'test');
    await database.db.query(`update access_keys set expires_at = now() - interval '1 minute' where id = $1`, [
      expired,
    ]);
    const first = await access.endedKeys(1);
    expect(first).toMatchObject([{ id: revoked, revokedAt: expect.any(Number), expiresAt: end }]);
    const rest = await access.endedKeys(100, revoked);
    expect(rest.at(-1)).toMatchObject({ id: expired, revokedAt: null });
    const names = [...first, ...rest].map(({ name }) => name);
    for (const other of ['trained', 'in force']) expect(names).not.toContain(other);
  });

  it('refuses a key after its end with a code of its own, remembered or not, and its sessions', async () => {
    const end = Date.now() + 60_000;
    const { id, key } = await access.createKey('guest', ['viewer'], 'test', [], { expiresAt: end });
    const session = await access.login(await access.loginToken(id));
    expect(await by(key)).toMatchObject({ id });
    expect((await access.keys()).find((info) => info.id === id)).toMatchObject({ expiresAt: end });
    const setEnd = (text: string) =>
      database.db.query(`update access_keys set expires_at = ${text} where id = $1`, [id]);

    // What is remembered is remembered no longer than the key is in force.
    await setEnd(`now() + interval '300 milliseconds'`);
    const patient = new Access(database.db, { ...database.limits, accessCacheMs: 60_000 }, records());
    const ask = async (header?: string, cookie?: string) => patient.authenticate(header, cookie);
    await ask(`Bearer ${key}`);
    await ask(undefined, `aios_session=${session}`);
    await expect
      .poll(() => ask(`Bearer ${key}`).catch((error: unknown) => error))
      .toMatchObject({ code: 'access.expired', message: expect.stringMatching(/^The key expired at 2/) });
    await expect(ask(undefined, `aios_session=${session}`)).rejects.toMatchObject({
      code: 'access.unauthenticated',
    });
    expect((await access.keys()).filter((info) => info.id === id)).toEqual([]);
    expect((await access.holders('runs.read')).filter((info) => info.id === id)).toEqual([]);

    await access.revoke(id, 'test'); // whoever revoked it meant it: no word of its end any more
    await expect(ask(`Bearer ${key}`)).rejects.toMatchObject({ code: 'access.unauthenticated' });
    await expect(
      access.createKey('late', ['viewer'], 'test', [], { expiresAt: Date.now() - 1 }),
    ).rejects.toMatchObject({
      code: 'request.invalid',
      issues: [expect.objectContaining({ path: '/expiresAt' })],
    });
  });

  it('records who made and who revoked a key, and says the same when it is written again', async () => {
    const { id } = await access.createKey('told', ['viewer'], 'boss', ['a']);
    await access.revoke(id, 'other');
    const payload = { name: 'told', roles: ['viewer'], groups: ['a'], expiresAt: null };
    expect(recorded.slice(-2)).toEqual([
      { keyId: id, action: 'created', by: 'boss', payload },
      { keyId: id, action: 'revoked', by: 'other', payload: {} },
    ]);
    const { id: again } = await access.createKey('again', ['viewer'], 'boss');
    const revocation = () =>
      database.commit.commit([write(keyRevocationsLane, { id: again, at: '2026-01-02T03:04:05.678Z' })]);
    await revocation();
    await revocation();
    await expect(access.revoke(again, 'boss')).rejects.toMatchObject({ code: 'access.unknown_key' });
    const scoped = await access.createKey('training r2', ['trainer'], 'aios', [], {
      training: { trainingRun: 'r2', model: null, startedBy: null },
    });
    await access.revoke(scoped.id);
    expect(recorded.at(-1)).toMatchObject({ keyId: again });
  });

  it('gives one session for one login token, and ends it at logout', async () => {
    const { id } = await access.createKey('person', ['reviewer'], 'test');
    const token = await access.loginToken(id);
    const session = await access.login(token);
    await expect(access.login(token)).rejects.toMatchObject({ code: 'access.unauthenticated' });
    const cookie = sessionCookie(session, false, 1000).split(';')[0];
    expect(await access.authenticate(undefined, `theme=dark; ${cookie}`)).toMatchObject({
      id,
      kind: 'session',
    });
    await access.logout(cookie);
    await expect(access.authenticate(undefined, cookie)).rejects.toMatchObject({
      code: 'access.unauthenticated',
    });
  });

  it('takes a key for no session and a session for no key, remembered or not', async () => {
    const { id, key } = await access.createKey('both', ['viewer'], 'test');
    const session = await access.login(await access.loginToken(id));
    await by(key);
    await access.authenticate(undefined, `aios_session=${session}`);
    const refused = { code: 'access.unauthenticated' };
    await expect(async () => by(session)).rejects.toMatchObject(refused);
    await expect(async () => access.authenticate(undefined, `aios_session=${key}`)).rejects.toMatchObject(
      refused,
    );
  });

  it('tells what the key of a training is for, and nothing of all others', async () => {
    const training = { trainingRun: 'r1', model: 'risk', startedBy: 'ann' };
    const { key } = await access.createKey('training r1', ['trainer'], 'aios', [], {
      training,
      expiresAt: Date.now() + 60_000,
    });
    expect(await by(key)).toMatchObject({ training });
    expect(await by(key)).toMatchObject({ training });
    const other = await access.createKey('person', ['trainer'], 'test');
    expect(await by(other.key)).toMatchObject({ training: null });
  });

  it('does not remember a look-up that a revocation overtook', async () => {
    const { id, key } = await access.createKey('late', ['viewer'], 'test');
    let answer = () => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const slow = {
      query: async (text: string, values?: unknown[]) => {
        const rows = await database.db.query(text, values);
        if (text.includes('last_used_at = now()')) await held;
        return rows;
      },
    };
    const late = new Access(slow as typeof database.db, database.limits, records());
    const found = late.authenticate(`Bearer ${key}`, undefined);
    await expect
      .poll(() => access.keys().then((keys) => keys.find((info) => info.id === id)?.lastUsedAt))
      .toBeTruthy();
    await late.revoke(id);
    answer();
    await found;
    await expect(async () => late.authenticate(`Bearer ${key}`, undefined)).rejects.toMatchObject({
      code: 'access.unauthenticated',
    });
  });

  it('forgets tokens and sessions that have expired', async () => {
    const { id } = await access.createKey('old', ['viewer'], 'test');
    const token = await access.loginToken(id);
    await database.db.query(
      `update access_secrets set expires_at = now() - interval '1 second' where key_id = $1`,
      [id],
    );
    await expect(access.login(token)).rejects.toMatchObject({ code: 'access.unauthenticated' });
    await access.loginToken(id);
    expect(await database.db.query('select 1 from access_secrets where expires_at <= now()')).toEqual([]);
  });

  it('puts people into groups, which they are in at once, with its record', async () => {
    const { id, key } = await access.createKey('grouped', ['reviewer'], 'test', ['refunds']);
    expect(await by(key)).toMatchObject({ groups: ['refunds'] });
    const before = recorded.length;
    await access.setGroups(id, ['claims', 'refunds'], 'boss');
    expect(await by(key)).toMatchObject({ groups: ['claims', 'refunds'] });
    expect(recorded.slice(before)).toEqual([
      { keyId: id, action: 'groups-changed', by: 'boss', payload: { groups: ['claims', 'refunds'] } },
    ]);
    expect(await access.holders('tasks.act')).toContainEqual(
      expect.objectContaining({ id, groups: ['claims', 'refunds'] }),
    );
    await expect(access.setGroups('key_none', [], 'boss')).rejects.toMatchObject({
      code: 'access.unknown_key',
    });
    expect(recorded).toHaveLength(before + 1);
  });

  it('keeps the admin key over restarts and refuses one of another form', async () => {
    const secret = newSecret('key');
    await access.ensureAdminKey(secret);
    await access.ensureAdminKey(secret);
    expect(await by(secret)).toMatchObject({ name: 'admin', roles: ['admin'] });
    expect((await access.keys()).filter(({ name }) => name === 'admin')).toHaveLength(1);
    await expect(access.ensureAdminKey('letmein')).rejects.toMatchObject({ code: 'access.key_format' });
  });

  it('an admin key that is given revokes those of earlier starts, one that was made does not', async () => {
    const [first, second, made] = [newSecret('key'), newSecret('key'), newSecret('key')];
    await access.ensureAdminKey(first, true);
    await access.ensureAdminKey(made);
    expect(await by(first)).toMatchObject({ roles: ['admin'] });
    await access.ensureAdminKey(second, true);
    for (const earlier of [first, made])
      await expect(by(earlier)).rejects.toMatchObject({ code: 'access.unauthenticated' });
    expect(await by(second)).toMatchObject({ roles: ['admin'] });
  });

  it.each([['Basic abc'], ['Bearer '], ['Bearer aios_key_short_000000'], [`Bearer ${newSecret('key')}`]])(
    'refuses “%s”',
    async (header) => {
      await expect(async () => access.authenticate(header, undefined)).rejects.toMatchObject({
        code: 'access.unauthenticated',
      });
    },
  );

  it('refuses a key without a role, or with one that does not exist', async () => {
    await expect(access.createKey('x', [], 'test')).rejects.toMatchObject({ code: 'request.invalid' });
    await expect(access.createKey('x', ['root'], 'test')).rejects.toMatchObject({
      issues: [expect.objectContaining({ found: 'root' })],
    });
  });
});

describe('a browser', () => {
  const hosts = new Set(['127.0.0.1', 'localhost']);
  it.each([
    [
      'reads from anywhere',
      'GET',
      { host: '127.0.0.1:7700', 'sec-fetch-site': 'cross-site' },
      true,
      undefined,
    ],
    [
      'changes from our own page',
      'POST',
      { host: '127.0.0.1:7700', origin: 'http://127.0.0.1:7700', 'sec-fetch-site': 'same-origin' },
      true,
      undefined,
    ],
    [
      'may not change from another site',
      'POST',
      { host: '127.0.0.1:7700', origin: 'http://evil.example' },
      true,
      'access.foreign_origin',
    ],
    [
      'may not change when the browser says cross-site',
      'POST',
      { host: 'localhost', 'sec-fetch-site': 'cross-site' },
      true,
      'access.foreign_origin',
    ],
    [
      'may not change from a sandboxed frame, whose origin is null',
      'POST',
      { host: 'localhost', origin: 'null' },
      true,
      'access.foreign_origin',
    ],
    [
      'with a key is no browser',
      'POST',
      { host: 'localhost', origin: 'http://evil.example' },
      false,
      undefined,
    ],
    ['may not come by a foreign name', 'GET', { host: 'evil.example:7700' }, false, 'access.foreign_host'],
  ])('%s', (_, method, headers, bySession, code) => {
    const check = () => checkBrowser(method, headers, hosts, bySession);
    if (code) expect(check).toThrow(expect.objectContaining({ code }));
    else expect(check).not.toThrow();
  });
});
