import type { RouteOptions } from 'fastify';

const ORDER = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
/** The console's pages: any address is one of them, which says nothing of what there is. */
const ANY = '/*';

interface Known {
  /** Made when it is first asked for: most servers are never asked. */
  pattern?: RegExp;
  readonly methods: Set<string>;
}

/**
 * Which methods the routes of a server take at an address. The framework's router has a tree for each method and only tells that one of them has
 * nothing there.
 *
 * @example allowed.of('/api/v1/me?x=1') // ['GET', 'HEAD']
 */
export class AllowedMethods {
  readonly #known = new Map<string, Known>();

  add({ url, method }: Pick<RouteOptions, 'url' | 'method'>): void {
    if (url === ANY) return;
    const known = this.#known.get(url) ?? { methods: new Set() };
    for (const one of [method].flat()) known.methods.add(one);
    this.#known.set(url, known);
  }

  /** Nothing for an address without a route. */
  of(url: string): string[] {
    const path = url.replace(/[?#].*$/s, '').replace(/(?<=.)\/$/, '');
    const found = new Set<string>();
    for (const [route, known] of this.#known) {
      known.pattern ??= patternOf(route);
      if (known.pattern.test(path)) for (const method of known.methods) found.add(method);
    }
    return [...found].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
  }
}

/** Routes have parameters that take a segment, and a rest at the end. */
function patternOf(route: string): RegExp {
  const source = route
    .replace(/(?<=.)\/$/, '')
    .replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/:\w+/g, '[^/]+')
    .replace(/\*$/, '.*');
  return new RegExp(`^${source}$`);
}
