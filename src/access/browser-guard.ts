import { AiosError } from '../kernel/errors.ts';

interface BrowserHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly 'sec-fetch-site'?: string | string[] | undefined;
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * What a browser's request must pass besides its session: an unsafe method only from our own pages (cross-site request forgery), and a Host
 * that is ours (DNS rebinding: a foreign name that resolves to 127.0.0.1).
 *
 * @throws AiosError `access.foreign_host`, `access.foreign_origin`
 */
export function checkBrowser(
  method: string,
  headers: BrowserHeaders,
  hosts: ReadonlySet<string>,
  bySession: boolean,
): void {
  const host = (headers.host ?? '').replace(/:\d+$/, '');
  if (!hosts.has(host))
    throw new AiosError('access.foreign_host', {
      detail: `The host “${host}” is not one of ${[...hosts].join(', ')}.`,
    });
  if (SAFE_METHODS.has(method) || !bySession) return;
  const site = headers['sec-fetch-site'];
  const foreign =
    (site !== undefined && site !== 'same-origin' && site !== 'none') ||
    (headers.origin !== undefined && hostOf(headers.origin) !== headers.host);
  if (foreign)
    throw new AiosError('access.foreign_origin', {
      detail: `A ${method} from ${headers.origin ?? String(site)} is refused.`,
    });
}

/** Undefined for `null`, the origin of sandboxed frames and local files, and for what is no origin. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
