import { connect, type Socket } from 'node:net';
import { createServer } from 'node:tls';
import { freePort } from './free-port.ts';

/** What ends TLS before a server that speaks none, as `stunnel` or the balancer of a cloud does. */
interface TlsFront {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * @param certificate in PEM
 * @example const front = await startTlsFront(6379, certificate); …rediss://127.0.0.1:front.port…; await front.close()
 */
export async function startTlsFront(
  port: number,
  { key, cert }: { readonly key: string; readonly cert: string },
): Promise<TlsFront> {
  const open = new Set<Socket>();
  const server = createServer({ key, cert }, (outside) => {
    const inside = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [outside, inside],
      [inside, outside],
    ] as const) {
      open.add(one);
      one.on('error', () => {}); // its end is told, too
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  server.on('tlsClientError', () => {}); // whoever came without TLS, or left at the sight of the certificate
  const own = await freePort();
  await new Promise<void>((done) => server.listen(own, '127.0.0.1', done));
  return {
    port: own,
    async close() {
      const closed = new Promise((done) => server.close(done));
      for (const one of open) one.destroy();
      await closed;
    },
  };
}
