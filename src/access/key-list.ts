import type { Database } from '../store/database.ts';
import type { Role } from './permissions.ts';

/** A key as it is listed; times are milliseconds since the epoch. */
export interface KeyInfo {
  id: string;
  name: string;
  roles: Role[];
  groups: string[];
  createdAt: number;
  /** The id of the key whose holder made it; a part of AIOS where that did. */
  createdBy: string;
  /** By its secret; what a session of the console does is no use of the key. */
  lastUsedAt: number | null;
  /** Null for a key that is in force until it is revoked. */
  expiresAt: number | null;
  revokedAt: number | null;
  /** The training that it was made for. */
  trainingRun: string | null;
}

/** Whether a key counts, in SQL over `access_keys k`. */
export const IN_FORCE = 'k.revoked_at is null and (k.expires_at is null or k.expires_at > now())';

const INFO = `k.id, k.name, k.roles, k.groups, k.created_at as "createdAt", k.created_by as "createdBy", k.last_used_at as "lastUsedAt",
  k.expires_at as "expiresAt", k.revoked_at as "revokedAt", k.training ->> 'trainingRun' as "trainingRun"`;
const ENDED_AT = 'least(k.revoked_at, k.expires_at)';

/** The keys in force, in the order in which they were made. */
export function keysInForce(db: Database): Promise<KeyInfo[]> {
  return db.query(`select ${INFO} from access_keys k where ${IN_FORCE} order by k.created_at, k.id`);
}

/** What `Access.endedKeys` answers. Each training makes a key that ends with it: hundreds of those say nothing of people and programs. */
export function endedKeys(db: Database, limit: number, after: string | undefined): Promise<KeyInfo[]> {
  return db.query(
    `select ${INFO} from access_keys k where not (${IN_FORCE}) and k.training is null
       and ($2::text is null or (${ENDED_AT}, k.id) < (select least(revoked_at, expires_at), id from access_keys where id = $2))
     order by ${ENDED_AT} desc, k.id desc limit $1`,
    [limit, after ?? null],
  );
}
