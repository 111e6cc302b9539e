import { AiosError } from '../kernel/errors.ts';
import { type Lane, Refused } from '../store/lane.ts';
import { columns } from '../store/rows.ts';

export interface NewKey {
  readonly id: string;
  readonly name: string;
  readonly hash: string;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
  readonly createdBy: string;
  /** RFC 3339; in force for good where there is none. */
  readonly expiresAt: string | null;
  /** JSON: the training that it is for. */
  readonly training: string | null;
}

/** Makes keys. The same again is success. */
export const newKeysLane: Lane<NewKey> = {
  name: 'new keys',
  order: 8,
  async write(tx, items) {
    await tx.query(
      `insert into access_keys (id, name, hash, roles, groups, created_by, expires_at, training)
       select id, name, hash, array(select json_array_elements_text(roles)), array(select json_array_elements_text(groups)), created_by, expires_at, training
       from unnest($1::text[], $2::text[], $3::text[], $4::json[], $5::json[], $6::text[], $7::timestamptz[], $8::json[])
         as n(id, name, hash, roles, groups, created_by, expires_at, training)
       on conflict (id) do nothing`,
      columns(items, ({ id, name, hash, roles, groups, createdBy, expiresAt, training }) => [
        id,
        name,
        hash,
        JSON.stringify(roles),
        JSON.stringify(groups),
        createdBy,
        expiresAt,
        training,
      ]),
    );
    return undefined;
  },
};

export interface KeyGroups {
  readonly id: string;
  readonly groups: readonly string[];
}

/** Puts people into groups; a key that is not in force is refused. The same again is success. */
export const keyGroupsLane: Lane<KeyGroups> = {
  name: 'key groups',
  order: 8,
  gate: true,
  async write(tx, items) {
    const changed = await tx.query<{ id: string }>(
      `update access_keys set groups = array(select json_array_elements_text(c.groups))
       from unnest($1::text[], $2::json[]) as c(id, groups) where access_keys.id = c.id and revoked_at is null returning access_keys.id`,
      columns(items, ({ id, groups }) => [id, JSON.stringify(groups)]),
    );
    return knownOrRefused(items, changed);
  },
};

export interface KeyRevocation {
  readonly id: string;
  /** RFC 3339; tells the same revocation, written again, from a second one. */
  readonly at: string;
}

/** Revokes keys with every session that acts for them; one that is revoked already is refused. The same again is success. */
export const keyRevocationsLane: Lane<KeyRevocation> = {
  name: 'key revocations',
  order: 8,
  gate: true,
  async write(tx, items) {
    const changed = await tx.query<{ id: string }>(
      `update access_keys set revoked_at = c.at from unnest($1::text[], $2::timestamptz[]) as c(id, at)
       where access_keys.id = c.id and (revoked_at is null or revoked_at = c.at) returning access_keys.id`,
      columns(items, ({ id, at }) => [id, at]),
    );
    await tx.query('delete from access_secrets where key_id = any($1)', [changed.map(({ id }) => id)]);
    return knownOrRefused(items, changed);
  },
};

function knownOrRefused(items: readonly { id: string }[], changed: readonly { id: string }[]) {
  const known = new Set(changed.map(({ id }) => id));
  return items.map(({ id }) =>
    known.has(id)
      ? undefined
      : new Refused(new AiosError('access.unknown_key', { detail: `There is no key ${id}.` })),
  );
}
