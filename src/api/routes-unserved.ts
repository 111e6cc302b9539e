import type { FastifyInstance } from 'fastify';
import { refuseExtension, UNSERVED_PATHS } from '../serving/protocol/unserved.ts';

/** Extensions of the protocol that are not served: who asks for one is told what does the same here. They are no operations of the API, and not in its document. */
export function unservedRoutes(): (server: FastifyInstance) => void {
  return (server) => {
    // Read and passed over, whatever it calls itself: a client that is told of its content type first would mend that in vain.
    server.removeAllContentTypeParsers();
    server.addContentTypeParser('*', { parseAs: 'buffer' }, async () => undefined);
    for (const [url, extension] of UNSERVED_PATHS) {
      const config = { permission: 'public' };
      const schema = { hide: true };
      server.route({
        method: ['GET', 'POST'],
        url,
        config,
        schema,
        handler: () => refuseExtension(extension),
      });
    }
  };
}
