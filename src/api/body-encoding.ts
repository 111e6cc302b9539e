import { promisify } from 'node:util';
import { deflate, gunzip, gzip, inflate } from 'node:zlib';
import { AiosError } from '../kernel/errors.ts';

const READERS = { gzip: promisify(gunzip), deflate: promisify(inflate) };
const WRITERS = { gzip: promisify(gzip), deflate: promisify(deflate) };

export type BodyCoding = keyof typeof READERS;

/**
 * Decompresses a body, never past the limit of any body.
 *
 * @throws AiosError `request.too_large`, `request.malformed`, `request.media_type` for another coding
 */
export async function decodeBody(bytes: Uint8Array, coding: string, bytesMax: number): Promise<Uint8Array> {
  const read = Object.hasOwn(READERS, coding) ? READERS[coding as BodyCoding] : undefined;
  if (!read)
    throw new AiosError('request.media_type', {
      detail: `The content coding ${coding.slice(0, 40)} is not read here; send gzip, deflate or none.`,
    });
  try {
    return await read(bytes, { maxOutputLength: bytesMax });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new AiosError('request.too_large', {
        detail: `The body is over requestBytesMax, ${bytesMax} bytes, when it is decompressed.`,
        extensions: { limitName: 'requestBytesMax', limit: bytesMax },
      });
    throw new AiosError('request.malformed', {
      detail: `The body cannot be decompressed as ${coding}: ${(cause as Error).message}.`,
      cause,
    });
  }
}

/**
 * The coding of an answer: one that the caller names alone. A list of codings is what HTTP libraries send by themselves, and compressing
 * every small answer for them would cost more than the inference.
 *
 * @example answerCoding('gzip') // 'gzip'
 */
export function answerCoding(acceptEncoding: string | undefined): BodyCoding | undefined {
  return acceptEncoding === 'gzip' || acceptEncoding === 'deflate' ? acceptEncoding : undefined;
}

export function encodeBody(body: string | Uint8Array, coding: BodyCoding): Promise<Uint8Array> {
  return WRITERS[coding](body);
}
