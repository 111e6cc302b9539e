import type { FastifyReply, FastifyRequest } from 'fastify';
import { AiosError } from '../kernel/errors.ts';

/** A range of bytes, the end exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * What of a file a request asks for (RFC 9110, section 14): all of it without `Range`, for several ranges and where `If-Range` names another file.
 * Sets the headers and the status of the answer; undefined when nothing is sent, since the caller has the file (304).
 *
 * @throws AiosError `request.invalid` (416) when the range lies outside of the file
 */
export function rangeOf(
  { headers }: Pick<FastifyRequest, 'headers'>,
  reply: FastifyReply,
  { sizeBytes, etag }: { sizeBytes: number; etag: string },
): ByteRange | undefined {
  reply.header('etag', etag).header('accept-ranges', 'bytes');
  const known = headers['if-none-match']?.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (known?.some((tag) => tag === etag || tag === '*')) {
    reply.code(304);
    return undefined;
  }
  const isSame = headers['if-range'] === undefined || headers['if-range'] === etag;
  const range = isSame ? readRange(headers.range, sizeBytes) : undefined;
  if (range === 'outside') {
    reply.header('content-range', `bytes */${sizeBytes}`);
    throw new AiosError('request.range', { detail: `${headers.range} lies outside of ${sizeBytes} bytes.` });
  }
  const { start, end } = range ?? { start: 0, end: sizeBytes };
  reply.header('content-length', end - start);
  if (range) reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${sizeBytes}`);
  return { start, end };
}

function readRange(header: string | undefined, sizeBytes: number): ByteRange | 'outside' | undefined {
  const found = header === undefined ? null : /^bytes=(\d*)-(\d*)$/.exec(header.replaceAll(' ', ''));
  if (!found || (found[1] === '' && found[2] === '')) return undefined; // what is not understood is as if it were not there
  if (found[1] === '') {
    const length = Math.min(Number(found[2]), sizeBytes);
    return length === 0 ? 'outside' : { start: sizeBytes - length, end: sizeBytes };
  }
  const start = Number(found[1]);
  const last = found[2] === '' ? sizeBytes - 1 : Math.min(Number(found[2]), sizeBytes - 1);
  if (found[2] !== '' && Number(found[2]) < start) return undefined;
  return start >= sizeBytes ? 'outside' : { start, end: last + 1 };
}
