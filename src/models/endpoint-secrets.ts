import type { Json } from '../kernel/json.ts';

const REFERENCE = /\$\{secrets\.([^}]*)\}/g;

/**
 * The names of the secrets that an endpoint would send to its server, whatever the runtime: `secret: NAME`, and `${secrets.NAME}` in any text.
 *
 * @example secretsOf({ url: 'https://a.example', secret: 'TOKEN' }) // ['TOKEN']
 */
export function secretsOf(endpoint: Json | undefined): string[] {
  const names = new Set<string>();
  const look = (value: Json | undefined, member?: string): void => {
    if (typeof value === 'string') {
      if (member === 'secret') names.add(value);
      for (const [, name] of value.matchAll(REFERENCE)) names.add(name!);
    } else if (Array.isArray(value)) for (const item of value) look(item, member);
    else if (value !== null && typeof value === 'object')
      for (const [name, item] of Object.entries(value)) look(item, name);
  };
  look(endpoint);
  return [...names];
}
