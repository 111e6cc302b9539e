import { queryOptions } from '@tanstack/react-query';
import { get } from './request.ts';
import type { Page } from './shapes.ts';

/** What one question may name at most, the server's `keyNamesMax`. */
const IDS_MAX = 200;

type Names = ReadonlyMap<string, string>;
let together: { ids: Set<string>; names: Promise<Names> } | undefined;

/** One question for all who ask while a page is drawn: a list of entries names the same few keys over and over. */
function namesWith(id: string): Promise<Names> {
  if (!together || together.ids.size >= IDS_MAX) {
    const ids = new Set<string>();
    const asked = Promise.resolve().then(async () => {
      together = undefined;
      const { items } = await get<Page<{ id: string; name: string }>>('/api/v1/key-names', {
        ids: [...ids].join(','),
      });
      return new Map(items.map((each) => [each.id, each.name]));
    });
    together = { ids, names: asked };
  }
  together.ids.add(id);
  return together.names;
}

/** What a key is called; null when it has gone. Names are never changed. */
export const keyNameQuery = (id: string) =>
  queryOptions({
    queryKey: ['key-name', id],
    queryFn: async () => (await namesWith(id)).get(id) ?? null,
    staleTime: Number.POSITIVE_INFINITY,
  });
