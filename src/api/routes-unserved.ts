import type { FastifyInstance } from 'fastify';
import { refuseExtension, UNSERVED_PATHS } from '../serving/protocol/unserved.ts';

/** Extensions of the protocol that are not served: who asks for one is told what does the same here. They are no operations of the API, and not in its document. */
export function unservedRoutes(): (server: FastifyInstance) => void {
  return (server) => {
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
