import { EXIT, print, relativeTime, table, timeOf } from './output.ts';
import type { Action } from './program.ts';
import { openClient } from './session.ts';

interface Key {
  id: string;
  name: string;
  roles: string[];
  groups: string[];
  lastUsedAt?: string;
  expiresAt?: string;
}

const namesOf = (text: string) => text.split(',').flatMap((name) => name.trim() || []);

/** Lists keys; makes one, puts the holder of one into groups, or revokes one. */
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
  const page = await client.request<{ items: Key[] }>('GET', path);
  print(page, options.json, () =>
    table(
      ['key', 'name', 'roles', 'groups', 'used', 'expires'],
      page.items.map((key) => [
        key.id,
        key.name,
        key.roles.join(', '),
        key.groups.join(', '),
        relativeTime(key.lastUsedAt),
        key.expiresAt ? relativeTime(key.expiresAt) : 'never',
      ]),
    ),
  );
  return EXIT.ok;
};
