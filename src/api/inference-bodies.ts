import type { FastifyInstance, FastifyReply } from 'fastify';
import { AiosError } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import { HEADER_LENGTH, type InferenceBody } from '../serving/protocol/infer-http.ts';
import { answerCoding, decodeBody, encodeBody } from './body-encoding.ts';

/**
 * Bodies of the Open Inference Protocol are bytes to its routes: its clients send JSON and tensors under any content type or none,
 * compressed or not.
 */
export function readProtocolBodies(server: FastifyInstance, { limits }: { limits: Limits }): void {
  // What is in the bytes is checked by who reads them; the schemas of these routes are for the document.
  server.setValidatorCompiler(() => () => true);
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    '*',
    { parseAs: 'buffer' },
    async (request: { headers: NodeJS.Dict<string | string[]> }, body: Buffer) => {
      const coding = request.headers['content-encoding'];
      if (coding === undefined || coding === 'identity') return body;
      return decodeBody(body, String(coding), limits.requestBytesMax);
    },
  );
}

/** The bytes of a body; none when there was none. */
export function bytesOfBody(body: unknown): Uint8Array {
  return body instanceof Uint8Array ? body : new Uint8Array();
}

/**
 * The object that a body holds; an empty one when there was none.
 *
 * @throws AiosError `request.malformed`, `request.invalid`
 */
export function jsonOf(body: unknown): JsonObject {
  const text = Buffer.from(bytesOfBody(body)).toString('utf8');
  if (text.trim() === '') return {};
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (cause) {
    throw new AiosError('request.malformed', { detail: (cause as Error).message, cause });
  }
  if (isObject(value)) return value;
  throw new AiosError('request.invalid', { issues: [{ path: '', message: 'the body is an object' }] });
}

/** Sends an answer in its form: JSON, or bytes with the length of their JSON; compressed when the caller asks for one coding. */
export async function sendInference(
  reply: FastifyReply,
  body: InferenceBody,
  acceptEncoding: string | undefined,
): Promise<FastifyReply> {
  const isJson = body.headerBytes === undefined;
  reply.type(isJson ? 'application/json' : 'application/octet-stream');
  if (!isJson) reply.header(HEADER_LENGTH, String(body.headerBytes));
  const plain = isJson ? body.json : body.bytes;
  const coding = answerCoding(acceptEncoding);
  if (!coding) return reply.send(plain);
  return reply.header('content-encoding', coding).send(await encodeBody(plain, coding));
}
