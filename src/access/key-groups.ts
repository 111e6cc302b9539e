import { AiosError } from '../kernel/errors.ts';
import { type Lane, Refused } from '../store/group-commit.ts';
import { columns } from '../store/rows.ts';

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
    const known = new Set(changed.map(({ id }) => id));
    return items.map(({ id }) =>
      known.has(id)
        ? undefined
        : new Refused(new AiosError('access.unknown_key', { detail: `There is no key ${id}.` })),
    );
  },
};
