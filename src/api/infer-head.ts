import type { IncomingHttpHeaders } from 'node:http';
import { HEADER_LENGTH } from '../serving/protocol/infer-http.ts';
import { answerCoding } from './body-encoding.ts';

/** A version, or the model's champion when there is none. */
interface InferAddress {
  readonly name: string;
  readonly ref: number | undefined;
}

/** What is known of an inference before its body: all that the lean path goes by. */
export interface InferHead {
  readonly method: 'POST';
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly address: InferAddress;
  readonly bodyBytes: number;
}

const ADDRESS = /^\/v2\/models\/([a-z0-9][a-z0-9._-]{0,99})(?:\/versions\/([1-9]\d{0,8}))?\/infer$/;
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

/** The model that an inference's address names; undefined for any other address, and for those that are refused with a reason. */
function addressOf(url: string): InferAddress | undefined {
  const match = ADDRESS.exec(url);
  if (!match) return undefined;
  return { name: match[1]!, ref: match[2] === undefined ? undefined : Number(match[2]) };
}

/** The head, when the lean path may take the request: POST of a plain body of a known length. Anything unusual is fastify's. */
export function plainHead(
  url: string,
  headers: IncomingHttpHeaders,
  bodyBytesMax: number,
): InferHead | undefined {
  const address = addressOf(url);
  if (!address) return undefined;
  for (const name of OTHERS) if (headers[name] !== undefined) return undefined;
  const { 'content-length': length, connection } = headers;
  const bodyBytes = length !== undefined && /^\d{1,10}$/.test(length) ? Number(length) : 0;
  if (bodyBytes === 0 || bodyBytes > bodyBytesMax) return undefined;
  if (answerCoding(headers['accept-encoding'] as string | undefined)) return undefined;
  if (headers[HEADER_LENGTH] === '0') return undefined; // its shape follows from the model
  if (answerCoding(headers['accept-encoding'])) return undefined; // compressing takes threads, and its turn
  if (connection !== undefined && connection.toLowerCase() !== 'keep-alive') return undefined;
  return { method: 'POST', url, headers, address, bodyBytes };
}

/**
 * Reads the head of an HTTP/1.1 message, up to and with the empty line, if it is a plain inference in the most usual form: each header
 * once, in visible ASCII, without folding. Whatever could be read in two ways is undefined here and left to node's parser, so that no
 * proxy in front and this reader can come to differ on where a message ends (RFC 9112, 11.2).
 *
 * @example readHead('POST /v2/models/risk/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n', 1e6)
 */
export function readHead(text: string, bodyBytesMax: number): InferHead | undefined {
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
  return plainHead(url, headers, bodyBytesMax);
}
