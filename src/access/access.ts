import { AiosError } from '../kernel/errors.ts';
import { newId } from '../kernel/ids.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database } from '../store/database.ts';
import { type Committer, type Write, write } from '../store/group-commit.ts';
import { hashOf, isSecret, newSecret, type SecretKind } from './key-format.ts';
import { keyGroupsLane } from './key-groups.ts';
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

export interface KeyInfo {
  id: string;
  name: string;
  roles: Role[];
  groups: string[];
  createdAt: number;
  createdBy: string;
  lastUsedAt: number | null;
}

interface KeyRow {
  id: string;
  name: string;
  roles: Role[];
  groups: string[];
  training: TrainingScope | null;
}

/** What changes of keys need: a commit, and the audit entry that belongs into it. */
export interface AccessRecords {
  readonly commit: Committer;
  record(change: { keyId: string; groups: readonly string[]; by: string }): Write;
}

interface Cached {
  readonly principal: Principal | undefined;
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

  /** A new key; the secret is told once and kept nowhere. @param only how long it is in force, for good when left out; the training that it is for */
  async createKey(
    name: string,
    roles: readonly string[],
    createdBy: string,
    groups: readonly string[] = [],
    only: { forMs?: number; training?: TrainingScope } = {},
  ): Promise<{ id: string; key: string }> {
    const secret = newSecret('key');
    const unknown = roles.filter((role) => !(ROLES as readonly string[]).includes(role));
    if (unknown.length > 0 || roles.length === 0) {
      throw new AiosError('request.invalid', {
        issues: [
          {
            path: '/roles',
            message: 'name at least one role',
            found: unknown.join(', ') || 'none',
            expected: ROLES.join(', '),
          },
        ],
      });
    }
    const id = newId('key');
    await this.#db.query(
      `insert into access_keys (id, name, hash, roles, created_by, groups, expires_at, training)
       values ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 millisecond', $8)`,
      [
        id,
        name,
        hashOf(secret),
        roles,
        createdBy,
        groups,
        only.forMs ?? null,
        only.training ? JSON.stringify(only.training) : null,
      ],
    );
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
    for (const { id } of earlier) await this.revoke(id);
  }

  async keys(): Promise<KeyInfo[]> {
    return this.#db.query<KeyInfo>(
      `select id, name, roles, groups, created_at as "createdAt", created_by as "createdBy", last_used_at as "lastUsedAt"
       from access_keys where ${IN_FORCE} order by created_at, id`,
    );
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
    await commit.commit([write(keyGroupsLane, { id: keyId, groups }), record({ keyId, groups, by })]);
    this.#withdrawn++;
    this.#cache.clear();
  }

  /** @throws AiosError `access.unknown_key` */
  async revoke(id: string): Promise<void> {
    const rows = await this.#db.query(
      'update access_keys set revoked_at = now() where id = $1 and revoked_at is null returning id',
      [id],
    );
    if (rows.length === 0) throw new AiosError('access.unknown_key', { detail: `There is no key ${id}.` });
    await this.#db.query('delete from access_secrets where key_id = $1', [id]);
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
    if (cached && cached.untilMs > performance.now()) return known(cached.principal);
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
    const [row] =
      kind === 'key'
        ? await this.#db.query<KeyRow>(
            `update access_keys set last_used_at = now() where hash = $1 and ${IN_FORCE} returning id, name, roles, groups, training`,
            [hashOf(secret)],
          )
        : await this.#db.query<KeyRow>(
            `update access_secrets s set expires_at = now() + $2 * interval '1 millisecond' from access_keys k
             where s.hash = $1 and s.kind = 'session' and s.expires_at > now() and k.id = s.key_id and k.revoked_at is null
             returning k.id, k.name, k.roles, k.groups, k.training`,
            [hashOf(secret), this.#limits.sessionMs],
          );
    const principal = row && { ...row, kind };
    if (principal && withdrawn === this.#withdrawn)
      this.#cache.set(secret, { principal, untilMs: performance.now() + this.#limits.accessCacheMs });
    else this.#cache.delete(secret);
    return known(principal);
  }
}

const IN_FORCE = 'revoked_at is null and (expires_at is null or expires_at > now())';
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
