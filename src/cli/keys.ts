import type { Action } from './command-row.ts';
import { unknownName } from './known-names.ts';
import { listText, readList } from './listing.ts';
import { EXIT, print, relativeTime, table, timeOf } from './output.ts';
import { openClient } from './session.ts';

interface Key {
  id: string;
  name: string;
  roles: string[];
  groups: string[];
  lastUsedAt?: string;
  expiresAt?: string;
  revokedAt?: string;
}

const namesOf = (text: string) => text.split(',').flatMap((name) => name.trim() || []);

/** Lists keys, those that have ended too; makes one, puts the holder of one into groups, or revokes one. */
export const keys: Action = async (options, [id]) => {
  const client = await openClient(options);
  const { create, roles = 'reviewer', groups, expires } = options as Record<string, string | undefined>;
  const path = '/api/v1/keys';
  if (create !== undefined) {
    const body = {
      name: create,
      roles: namesOf(roles),
      groups: namesOf(groups ?? ''),
      ...(expires === undefined ? {} : { expiresAt: timeOf(expires) }),
    };
    const made = await client.request<{ id: string; key: string }>('POST', path, { body });
    print(made, options.json, () => `${made.id}\n${made.key}  (shown once)`);
    return EXIT.ok;
  }
  if (id && options.revoke) await client.request('DELETE', `${path}/${encodeURIComponent(id)}`);
  else if (id && groups !== undefined)
    await client.request('PUT', `${path}/${encodeURIComponent(id)}/groups`, {
      body: { groups: namesOf(groups) },
    });
  const ended = options.ended === true;
  const page = await (ended
    ? readList<{ items: Key[] }>(client, path, { state: 'ended' }, options.limit)
    : client.request<{ items: Key[] }>('GET', path));
  const isLook = id !== undefined && !options.revoke && groups === undefined;
  const items = isLook ? page.items.filter((key) => key.id === id || key.name === id) : page.items;
  if (isLook && items.length === 0)
    throw unknownName(
      'access.unknown_key',
      'key',
      id,
      page.items.flatMap((key) => [key.id, key.name]),
    );
  print({ ...page, items }, options.json, () =>
    listText(
      page,
      table(
        ['key', 'name', 'roles', 'groups', 'used', ended ? 'ended' : 'expires'],
        items.map((key) => [
          key.id,
          key.name,
          key.roles.join(', '),
          key.groups.join(', '),
          relativeTime(key.lastUsedAt),
          ended ? endOf(key) : key.expiresAt ? relativeTime(key.expiresAt) : 'never',
        ]),
      ),
    ),
  );
  return EXIT.ok;
};

function endOf({ revokedAt, expiresAt }: Key): string {
  return revokedAt ? `revoked ${relativeTime(revokedAt)}` : `expired ${relativeTime(expiresAt)}`;
}
