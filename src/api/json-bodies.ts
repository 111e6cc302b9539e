import type { FastifyInstance } from 'fastify';
import { requireFinite } from '../kernel/finite-json.ts';
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
    parse(request, text, (error: Error | null, value: unknown) => {
      if (error) return done(error);
      try {
        requireFinite(text, value);
        requireDepth(value, dependencies.limits.jsonDepthMax);
      } catch (fault) {
        return done(fault as Error);
      }
      done(null, value);
    });
  });
}
