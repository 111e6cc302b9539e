import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Posters } from '../bench/posters.ts';

let status = 200;
const server = createServer((request, response) => {
  request.resume().on('end', () => response.writeHead(status).end());
}).listen(0, '127.0.0.1');

function posters(): Posters {
  const { port } = server.address() as AddressInfo;
  return new Posters({
    ...{ posters: 2, batch: 1, pauseMs: 1, key: 'key' },
    target: () => ({ url: `http://127.0.0.1:${port}/`, contentType: 'application/json' }),
    isAcknowledged: async (response) => response.ok,
  });
}

describe('the producers of the chaos', () => {
  afterEach(() => {
    status = 200;
  });

  it('end when what they have begun is acknowledged', async () => {
    const posting = posters();
    await expect.poll(() => posting.accepted.size).toBeGreaterThan(3);
    await posting.stop();
    const accepted = posting.accepted.size;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(posting.accepted.size).toBe(accepted);
  });

  it('say what was answered when it is not, in place of waiting for ever', async () => {
    status = 422;
    const posting = posters();
    await expect(posting.stop(200)).rejects.toThrow('not acknowledged for 200 ms after the end: status 422');
    await posting.abandon();
    expect(posting.accepted.size).toBe(0);
  });

  it('say that nothing answers', async () => {
    const posting = posters();
    server.close();
    server.closeAllConnections();
    await expect(posting.stop(200)).rejects.toThrow('fetch failed');
  });
});
