import type { IncomingHttpHeaders } from 'node:http';

/** What a page of another origin may read besides what every page may (Fetch standard, "CORS-safelisted response-header name"). */
const EXPOSED = [
  'x-request-id',
  'retry-after',
  'ratelimit',
  'ratelimit-policy',
  ...['limit', 'remaining', 'reset'].flatMap((what) => [
    `x-ratelimit-${what}-requests`,
    `x-ratelimit-${what}-tokens`,
  ]),
  'x-should-retry',
  'x-aios-model',
  'x-aios-cache',
  'inference-header-content-length',
  'content-disposition',
  'content-range',
  'etag',
  'allow',
  'www-authenticate',
].join(', ');
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';
const PREFLIGHT_SECONDS = '600'; // Chromium keeps no answer for longer than two hours, and an operator who takes an origin away waits for it
/** The doors for programs. The console, its session and its files are for its own pages. */
const DOORS = /^\/(?:api|v1|v2|schema-registry)(?:[/?]|$)/;
const NONE: readonly string[] = [];

/**
 * Which pages of other origins may call the doors (Fetch standard, "CORS protocol"). Never with credentials: who calls from elsewhere sends a key, and the
 * console's session stays with its own pages.
 *
 * @param origins as browsers write them, `https://app.example.org`; `*` for every page; none for no page
 * @example new Cors(['https://app.example.org']).headersOf('/v1/models', { origin: 'https://app.example.org' })
 */
export class Cors {
  readonly #origins: ReadonlySet<string>;
  readonly #isOpen: boolean;

  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
    this.#isOpen = this.#origins.has('*');
  }

  /** What every answer to a request carries: name, value, name, value, … */
  headersOf(url: string, { origin }: IncomingHttpHeaders): readonly string[] {
    if (this.#origins.size === 0 || !DOORS.test(url)) return NONE;
    const allowed = this.#allowed(origin);
    const told = allowed
      ? ['access-control-allow-origin', allowed, 'access-control-expose-headers', EXPOSED]
      : NONE;
    // A cache must not give one origin's answer to another; for all of them it is the same.
    return this.#isOpen ? told : ['vary', 'origin', ...told];
  }

  /** What the answer to a preflight carries besides; undefined for any other request, or one of a page that may not call. */
  preflightOf(url: string, headers: IncomingHttpHeaders): readonly string[] | undefined {
    const asksFor = headers['access-control-request-method'];
    if (asksFor === undefined || !DOORS.test(url) || !this.#allowed(headers.origin)) return undefined;
    const wanted = headers['access-control-request-headers'];
    return [
      ...['access-control-allow-methods', METHODS],
      // Clients send headers of their own (OpenAI's some ten), which mean nothing here and must not fail the call.
      ...(wanted === undefined ? [] : ['access-control-allow-headers', String(wanted)]),
      ...['access-control-max-age', PREFLIGHT_SECONDS],
      ...['vary', 'origin, access-control-request-method, access-control-request-headers'],
    ];
  }

  #allowed(origin: string | undefined): string | undefined {
    if (origin === undefined) return undefined;
    if (this.#isOpen) return '*';
    return this.#origins.has(origin) ? origin : undefined;
  }
}
