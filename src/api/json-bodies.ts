import type { FastifyInstance, FastifyRequest } from 'fastify';
import { requireDigits, withDigits } from '../kernel/exact-integers.ts';
import { requireFinite } from '../kernel/finite-json.ts';
import type { Json } from '../kernel/json.ts';
import { requireDepth } from '../kernel/json-depth.ts';
import type { Limits } from '../kernel/limits.ts';

/**
 * Reads bodies of JSON under these content types, as fastify does by itself, to a bounded depth, with numbers that can be kept. No bytes are no body, whatever type a client
 * gives all that it sends.
 */
export function readJsonBodies(
  server: FastifyInstance,
  contentTypes: string | string[],
  dependencies: { limits: Pick<Limits, 'jsonDepthMax'> },
): void {
  const parse = server.getDefaultJsonParser('error', 'error');
  server.addContentTypeParser<string>(contentTypes, { parseAs: 'string' }, (request, text, done) => {
    if (text === '') return done(null, undefined);
    parse(request, text, (error: Error | null, value: Json) => {
      if (error) return done(error);
      try {
        requireFinite(text, value);
        requireDepth(value, dependencies.limits.jsonDepthMax);
        if (isData(request)) requireDigits(value, withDigits(text, value));
      } catch (fault) {
        return done(fault as Error);
      }
      done(null, value);
    });
  });
}

/**
 * Whether a body holds data, and no definition: bounds of an int64 in a JSON Schema are compared as numbers, to the digit or not. Nor are those of tools in protocols of others,
 * whose bodies are read as their own servers read them.
 */
function isData({ method, url }: Pick<FastifyRequest, 'method' | 'url'>): boolean {
  return url.startsWith('/api/v1/') && method !== 'PUT' && !url.startsWith('/api/v1/contracts/');
}
