import { AiosError } from '../kernel/errors.ts';
import { newId } from '../kernel/ids.ts';
import type { Json } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database } from '../store/database.ts';
import type { Committer } from '../store/group-commit.ts';
import { type Write, write } from '../store/lane.ts';
import { timestamp } from '../store/rows.ts';
import { hashOf, isSecret, newSecret, type SecretKind } from './key-format.ts';
import { keyGroupsLane, keyRevocationsLane, newKeysLane } from './key-lanes.ts';
import { endedKeys, IN_FORCE, type KeyInfo, keysInForce } from './key-list.ts';
import { PERMISSIONS_OF, ROLES, type Role } from './permissions.ts';

/** What the key of a training is for, and nothing else: the commands that it is given to may be anybody's. */
export interface TrainingScope {
  readonly trainingRun: string;
  /** The model that it may make versions of. */
  readonly model: string | null;
  /** The person who started the training. */
  readonly startedBy: string | null;
}

/** Who calls: by an API key, or by a session of the console, which acts for a key. */
export interface Principal {
  readonly id: string;
  readonly name: string;
  readonly kind: 'key' | 'session';
  readonly roles: readonly Role[];
  /** Of people; tasks are for groups. */
  readonly groups: readonly string[];
  /** Set for the key of a training. */
  readonly training?: TrainingScope | null;
}

interface KeyRow {
  id: string;
  name: string;
  roles: Role[];
  groups: string[];
  training: TrainingScope | null;
  /** How long it stays in force, in milliseconds; null for good. */
  leftMs: number | null;
}

/** What happened to a key, as the audit log has it. */
interface KeyChange {
  readonly keyId: string;
  readonly action: 'created' | 'groups-changed' | 'revoked';
  /** The id of the key whose holder did it; `system` where a start did. */
  readonly by: string;
  readonly payload: { readonly [name: string]: Json };
}

/** What changes of keys need: a commit, and the audit entry that belongs into it. */
export interface AccessRecords {
  readonly commit: Committer;
  record(change: KeyChange): Write;
}

interface Cached {
  readonly principal: Principal;
  readonly untilMs: number;
}

/**
 * Keys, sessions and roles. Secrets are kept as hashes only; what a secret resolves to is remembered for `accessCacheMs`, so a revocation
 * is seen at once here and within that time by other processes.
 *
 * @example const principal = await access.authenticate(request.headers.authorization, request.headers.cookie)
 */
export class Access {
  readonly #db: Database;
  readonly #limits: Pick<Limits, 'accessCacheMs' | 'loginTokenMs' | 'sessionMs'>;
  readonly #records: AccessRecords;
  readonly #cache = new Map<string, Cached>();
  readonly #underWay = new Map<string, Promise<Principal>>();
  /** Counts what was withdrawn here: a look-up that began before is not remembered. */
  #withdrawn = 0;

  constructor(
    db: Database,
    limits: Pick<Limits, 'accessCacheMs' | 'loginTokenMs' | 'sessionMs'>,
    records: AccessRecords,
  ) {
    this.#db = db;
    this.#limits = limits;
    this.#records = records;
  }

  /**
   * The principal behind an `Authorization` or `Cookie` header; undefined when there is neither.
   *
   * @throws AiosError `access.unauthenticated` when there is one and it is not valid (any more)
   */
  authenticate(
    authorization: string | undefined,
    cookie: string | undefined,
  ): Promise<Principal | undefined> | Principal | undefined {
    if (authorization !== undefined) {
      const [scheme = '', secret = ''] = authorization.split(' ');
      if (scheme.toLowerCase() !== 'bearer')
        throw new AiosError('access.unauthenticated', { detail: 'Use Authorization: Bearer aios_…' });
      return this.#resolve('key', secret);
    }
    const session = cookie && sessionIn(cookie);
    return session ? this.#resolve('session', session) : undefined;
  }

  can(principal: Pick<Principal, 'roles'>, permission: string): boolean {
    return principal.roles.some((role) => PERMISSIONS_OF[role]?.has(permission));
  }

  /**
   * A new key; the secret is told once and kept nowhere. One of a training has no audit entry of its own: the training has.
   *
   * @param only until when it is in force (milliseconds since the epoch), for good when left out; the training that it is for
   * @throws AiosError `request.invalid` for a role that there is none of, an end that has passed
   */
  async createKey(
    name: string,
    roles: readonly string[],
    createdBy: string,
    groups: readonly string[] = [],
    only: { expiresAt?: number | undefined; training?: TrainingScope } = {},
  ): Promise<{ id: string; key: string }> {
    requireRoles(roles);
    const { training } = only;
    const expiresAt = only.expiresAt === undefined ? null : endOf(only.expiresAt);
    const secret = newSecret('key');
    const id = newId('key');
    const row = { id, name, hash: hashOf(secret), roles, groups, createdBy, expiresAt };
    const { commit, record } = this.#records;
    const told = { name, roles: [...roles], groups: [...groups], expiresAt };
    await commit.commit([
      write(newKeysLane, { ...row, training: training ? JSON.stringify(training) : null }),
      ...(training ? [] : [record({ keyId: id, action: 'created', by: createdBy, payload: told })]),
    ]);
    return { id, key: secret };
  }

  /** Makes sure that the admin key exists; the same secret at every start. `only`: those of earlier starts are revoked, a rotated one too. */
  async ensureAdminKey(secret: string, only = false): Promise<void> {
    if (!isSecret(secret, 'key'))
      throw new AiosError('access.key_format', {
        detail: 'AIOS_ADMIN_KEY must have the form aios_key_…, checksum included.',
      });
    await this.#db.query(
      `insert into access_keys (id, name, hash, roles, created_by) values ($1, 'admin', $2, '{admin}', 'system') on conflict (hash) do nothing`,
      [newId('key'), hashOf(secret)],
    );
    if (!only) return;
    const earlier = await this.#db.query<{ id: string }>(
      `select id from access_keys where name = 'admin' and created_by = 'system' and hash <> $1 and revoked_at is null`,
      [hashOf(secret)],
    );
    for (const { id } of earlier) await this.revoke(id, 'system');
  }

  /** The keys in force, in the order in which they were made. */
  keys(): Promise<KeyInfo[]> {
    return keysInForce(this.#db);
  }

  /**
   * Keys that were revoked or have expired, those that ended last first; those of trainings are left out.
   *
   * @param after the id of the last key of the page before
   * @example const [last] = await access.endedKeys(1)
   */
  endedKeys(limit: number, after?: string): Promise<KeyInfo[]> {
    return endedKeys(this.#db, limit, after);
  }

  /** What keys are called by their ids, those that are revoked too: a record says who did it for as long as it is kept. */
  async namesOf(ids: readonly string[]): Promise<{ id: string; name: string }[]> {
    return this.#db.query('select id, name from access_keys where id = any($1) order by id', [ids]);
  }

  /** Those with a permission, by keys in force. */
  async holders(permission: string): Promise<KeyInfo[]> {
    return (await this.keys()).filter((key) => this.can(key, permission));
  }

  /**
   * The groups of a person from now on, instead of those before; here at once, within `accessCacheMs` in other processes.
   *
   * @throws AiosError `access.unknown_key`
   */
  async setGroups(keyId: string, groups: readonly string[], by: string): Promise<void> {
    const { commit, record } = this.#records;
    await commit.commit([
      write(keyGroupsLane, { id: keyId, groups }),
      record({ keyId, action: 'groups-changed', by, payload: { groups: [...groups] } }),
    ]);
    this.#withdrawn++;
    this.#cache.clear();
  }

  /**
   * Revokes a key, and every session that acts for it: here at once, within `accessCacheMs` in other processes.
   *
   * @param by whose doing the audit log has; left out for the key of a training, which ends with it
   * @throws AiosError `access.unknown_key`
   */
  async revoke(id: string, by?: string): Promise<void> {
    const { commit, record } = this.#records;
    await commit.commit([
      write(keyRevocationsLane, { id, at: timestamp(Date.now()) }),
      ...(by === undefined ? [] : [record({ keyId: id, action: 'revoked', by, payload: {} })]),
    ]);
    this.#withdrawn++;
    this.#cache.clear();
  }

  /** A token for one login, within `loginTokenMs`, that acts for a key. */
  loginToken(keyId: string): Promise<string> {
    return this.#issue('login', keyId, this.#limits.loginTokenMs);
  }

  /** Takes a login token for a session; a second use fails. */
  async login(token: string): Promise<string> {
    const used = isSecret(token, 'login')
      ? await this.#db.query<{ key_id: string }>(
          `delete from access_secrets where hash = $1 and kind = 'login' and expires_at > now() returning key_id`,
          [hashOf(token)],
        )
      : [];
    const [row] = used;
    if (!row)
      throw new AiosError('access.unauthenticated', {
        detail: 'This login link was used before or has expired.',
      });
    return this.#issue('session', row.key_id, this.#limits.sessionMs);
  }

  /** A session from a key, for people who paste one. */
  async sessionFor(key: string): Promise<string> {
    const principal = await this.#resolve('key', key);
    return this.#issue('session', principal.id, this.#limits.sessionMs);
  }

  async logout(cookie: string | undefined): Promise<void> {
    const session = cookie && sessionIn(cookie);
    if (!session) return;
    await this.#db.query(`delete from access_secrets where hash = $1 and kind = 'session'`, [
      hashOf(session),
    ]);
    this.#withdrawn++;
    this.#cache.delete(session);
  }

  async #issue(kind: SecretKind, keyId: string, ms: number): Promise<string> {
    const secret = newSecret(kind);
    await this.#db.query('delete from access_secrets where expires_at <= now()');
    await this.#db.query(
      `insert into access_secrets (hash, kind, key_id, expires_at) values ($1, $2, $3, now() + $4 * interval '1 millisecond')`,
      [hashOf(secret), kind, keyId, ms],
    );
    return secret;
  }

  #resolve(kind: 'key' | 'session', secret: string): Promise<Principal> | Principal {
    // A key is no session and a session no key, remembered or not.
    if (!secret.startsWith(`aios_${kind}_`)) return known(undefined);
    const cached = this.#cache.get(secret);
    if (cached && cached.untilMs > performance.now()) return cached.principal;
    // One look-up for all who come while it is under way: 64 clients would meet at the lock of one row, each second.
    let lookUp = this.#underWay.get(secret);
    if (!lookUp) {
      lookUp = this.#lookUp(kind, secret).finally(() => this.#underWay.delete(secret));
      this.#underWay.set(secret, lookUp);
    }
    return lookUp;
  }

  async #lookUp(kind: 'key' | 'session', secret: string): Promise<Principal> {
    // A wrong checksum costs no query, and is not remembered: guesses must not fill the memory.
    if (!isSecret(secret, kind)) return known(undefined);
    const withdrawn = this.#withdrawn;
    const hash = hashOf(secret);
    const [row] =
      kind === 'key'
        ? await this.#db.query<KeyRow>(
            `update access_keys k set last_used_at = now() where hash = $1 and ${IN_FORCE} returning ${PRINCIPAL}`,
            [hash],
          )
        : await this.#db.query<KeyRow>(
            `update access_secrets s set expires_at = now() + $2 * interval '1 millisecond' from access_keys k
             where s.hash = $1 and s.kind = 'session' and s.expires_at > now() and k.id = s.key_id and ${IN_FORCE} returning ${PRINCIPAL}`,
            [hash, this.#limits.sessionMs],
          );
    if (!row && kind === 'key') await this.#refuseExpired(hash);
    const principal = row && principalOf(row, kind);
    const rememberMs = Math.min(this.#limits.accessCacheMs, row?.leftMs ?? Number.POSITIVE_INFINITY);
    if (principal && withdrawn === this.#withdrawn)
      this.#cache.set(secret, { principal, untilMs: performance.now() + rememberMs });
    else this.#cache.delete(secret);
    return known(principal);
  }

  /** Its holder is told what the matter is: nobody else has the secret. @throws AiosError `access.expired` */
  async #refuseExpired(hash: string): Promise<void> {
    const [row] = await this.#db.query<{ expiresAt: number }>(
      `select expires_at as "expiresAt" from access_keys where hash = $1 and revoked_at is null and expires_at <= now()`,
      [hash],
    );
    if (row)
      throw new AiosError('access.expired', { detail: `The key expired at ${timestamp(row.expiresAt)}.` });
  }
}

const PRINCIPAL = `k.id, k.name, k.roles, k.groups, k.training, (extract(epoch from k.expires_at - now()) * 1000)::float8 as "leftMs"`;

function principalOf({ id, name, roles, groups, training }: KeyRow, kind: 'key' | 'session'): Principal {
  return { id, name, roles, groups, training, kind };
}

function requireRoles(roles: readonly string[]): void {
  const unknown = roles.filter((role) => !(ROLES as readonly string[]).includes(role));
  if (unknown.length === 0 && roles.length > 0) return;
  throw invalid('/roles', 'name at least one role', unknown.join(', ') || 'none', ROLES.join(', '));
}

/** @throws AiosError `request.invalid` */
function endOf(expiresAt: number): string {
  if (expiresAt > Date.now()) return timestamp(expiresAt);
  throw invalid('/expiresAt', 'has passed already', timestamp(expiresAt), 'a time to come');
}

function invalid(path: string, message: string, found: string, expected: string): AiosError {
  return new AiosError('request.invalid', { issues: [{ path, message, found, expected }] });
}
const SESSION_COOKIE = /(?:^|;\s*)(?:__Host-)?aios_session=([^;]+)/;

function sessionIn(cookie: string): string | undefined {
  return SESSION_COOKIE.exec(cookie)?.[1];
}

/** The header that hands a session to a browser. `__Host-` needs https; on plain loopback a browser would drop it. */
export function sessionCookie(session: string, secure: boolean, maxAgeMs: number): string {
  const name = secure ? '__Host-aios_session' : 'aios_session';
  return `${name}=${session}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${Math.floor(maxAgeMs / 1000)}${secure ? '; Secure' : ''}`;
}

function known(principal: Principal | undefined): Principal {
  if (principal) return principal;
  throw new AiosError('access.unauthenticated', { detail: 'The key or session is not valid (any more).' });
}
