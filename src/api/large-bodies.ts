import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { type BodyIntake, inflatedBytesMax, UNASKED_BODY_BYTES_MAX } from './body-intake.ts';
import { noRoute } from './problems.ts';

/**
 * What may be in memory of bodies on the framework's routes: a large one has its place in the intake from its head to its answer, one without a route is not
 * read, and a public route takes none. A body that is compressed counts as what it may become. To be called after `guardRoutes`: a caller without a key never gets as far.
 */
export function boundBodies(server: FastifyInstance, intake: BodyIntake, bytesMax: number): void {
  server.addHook('onRoute', (options) => {
    if (options.config?.permission === 'public') options.bodyLimit ??= UNASKED_BODY_BYTES_MAX;
  });
  server.addHook('onRequest', (request, reply, done) => {
    const { headers } = request;
    const bytes = headers['content-length'] === undefined ? undefined : bytesOf(headers, bytesMax);
    if (bytes === undefined ? headers['transfer-encoding'] === undefined : bytes <= UNASKED_BODY_BYTES_MAX) {
      done();
      return;
    }
    try {
      if (request.is404) throw noRoute(request);
      const release = intake.take(bytes);
      reply.raw.once('close', release);
      done();
    } catch (error) {
      reply.header('connection', 'close'); // the body is not read
      done(error as Error);
    }
  });
}

function bytesOf(headers: IncomingHttpHeaders, bytesMax: number): number {
  const length = Number(headers['content-length']);
  const { 'content-encoding': coding = 'identity' } = headers;
  return coding === 'identity' ? length : inflatedBytesMax(length, bytesMax);
}
