import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DebianPackages } from './debian.ts';
import { ServerUnderTest } from './server.ts';

/**
 * Starts the mosquitto of Debian, open to everybody on this machine.
 *
 * @param linesOf more lines of its configuration; the folder is its own
 * @example const server = await startMosquitto((await debianPackages(['mosquitto']))!, () => ['max_queued_messages 0'])
 */
export function startMosquitto(
  debian: DebianPackages,
  linesOf: (folder: string) => readonly string[] = () => [],
): Promise<ServerUnderTest> {
  return ServerUnderTest.start(
    ({ folder }) => [join(debian.root, 'usr/sbin/mosquitto'), '-c', join(folder, 'mosquitto.conf')],
    debian.env,
    ({ port, folder }) => {
      const lines = ['user root', `listener ${port} 127.0.0.1`, 'allow_anonymous true', ...linesOf(folder)];
      return writeFile(join(folder, 'mosquitto.conf'), lines.join('\n'));
    },
  );
}
