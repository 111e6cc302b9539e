import type { IncomingHttpHeaders } from 'node:http';

/** What is known of a request before its body: all that a lean door goes by. */
export interface RequestHead {
  readonly method: 'POST';
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly bodyBytes: number;
}

const HEADER = /^([a-z0-9-]{1,64}): *([\t\x20-\x7e]*)$/i;
const HEADERS_MAX = 64;
/** What changes how a message is read, or what becomes of its connection: node:http and fastify know how. */
const OTHERS = [
  'transfer-encoding',
  'content-encoding',
  'expect',
  'upgrade',
  'trailer',
  'te',
  'http2-settings',
] as const;

/** The head, when a lean door may take the request: POST of a plain body of a known length. Anything unusual is fastify's. */
export function plainHead(url: string, headers: IncomingHttpHeaders): RequestHead | undefined {
  for (const name of OTHERS) if (headers[name] !== undefined) return undefined;
  const { 'content-length': length, connection } = headers;
  const bodyBytes = length !== undefined && /^\d{1,10}$/.test(length) ? Number(length) : 0;
  if (bodyBytes === 0) return undefined;
  if (connection !== undefined && connection.toLowerCase() !== 'keep-alive') return undefined;
  return { method: 'POST', url, headers, bodyBytes };
}

/**
 * Reads the head of an HTTP/1.1 message, up to and with the empty line, if it is a POST in the most usual form: each header
 * once, in visible ASCII, without folding. Whatever could be read in two ways is undefined here and left to node's parser, so that no
 * proxy in front and this reader can come to differ on where a message ends (RFC 9112, 11.2).
 *
 * @example readHead('POST /v2/models/risk/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n')
 */
export function readHead(text: string): RequestHead | undefined {
  const lines = text.split('\r\n');
  if (lines.length > HEADERS_MAX) return undefined;
  const [method, url, version, ...rest] = lines[0]!.split(' ');
  if (method !== 'POST' || url === undefined || version !== 'HTTP/1.1' || rest.length > 0) return undefined;
  const headers: IncomingHttpHeaders = Object.create(null) as IncomingHttpHeaders;
  for (let i = 1; i < lines.length - 2; i++) {
    const match = HEADER.exec(lines[i]!);
    if (!match) return undefined;
    const name = match[1]!.toLowerCase();
    if (headers[name] !== undefined) return undefined;
    headers[name] = match[2]!.trimEnd();
  }
  if (headers.host === undefined) return undefined;
  return plainHead(url, headers);
}
