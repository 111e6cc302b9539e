/** Where something is sent: a server, by its name or address without brackets, or a process of this machine. */
export type Destination = { readonly hostname: string; readonly port: number } | 'process';

const PORTS: { readonly [scheme: string]: number } = { 'https:': 443, 'wss:': 443, 'http:': 80, 'ws:': 80 };

/**
 * The server of an address; undefined for any other text.
 *
 * @example destinationOf('https://API.example.org/v1') // { hostname: 'api.example.org', port: 443 }
 */
export function destinationOf(url: string | URL): Destination | undefined {
  const parsed = typeof url === 'string' ? URL.parse(url) : url;
  if (!parsed || parsed.hostname === '') return undefined;
  const port = Number(parsed.port) || PORTS[parsed.protocol];
  return port === undefined ? undefined : { hostname: parsed.hostname.replace(/^\[|\]$/g, ''), port };
}
