import { Agent, request } from 'node:http';
import { Type } from 'typebox';
import { expect, it } from 'vitest';
import { limitsFrom } from '../kernel/limits.ts';
import { route } from './routes.ts';
import { createServer } from './server.ts';

it('a server that closes does not wait for the connection of a request that was under way', async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const server = await createServer({
    limits: limitsFrom(),
    access: { authenticate: () => undefined, can: () => false },
    onFault: () => {},
    routes: [
      (scope) =>
        route(scope, {
          method: 'GET',
          url: '/slow',
          permission: 'public',
          summary: 'Answers when the server closes already',
          tag: 'test',
          answer: Type.Object({}),
          handle: async () => {
            asked.resolve();
            await answer.promise;
            return {};
          },
        }),
    ],
  });
  const { port } = new URL(await server.listen({ host: '127.0.0.1', port: 0 }));
  const agent = new Agent({ keepAlive: true });
  const headers = await new Promise<object>((resolve, reject) => {
    const sent = request({ port, path: '/slow', agent }, (response) => {
      response.resume().on('end', () => resolve(response.headers));
    });
    sent.on('error', reject).end();
    void asked.promise.then(() => {
      const closed = server.close();
      setImmediate(answer.resolve);
      closed.catch(reject);
    });
  });
  expect(headers).toMatchObject({ connection: 'close' });
  await server.close(); // within the time of a test: kept alive, the connection would stay for 72 s
  agent.destroy();
});
