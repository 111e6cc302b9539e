import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testAuthority } from '../../../connectors/tls-under-test.ts';
import { debianPackages } from '../../../testing/debian.ts';
import { event } from '../../event-under-test.ts';
import { mqttProtocol } from './mqtt/mqtt-protocol.ts';
import { natsProtocol } from './nats/nats-protocol.ts';
import { openSink, openSource } from './protocol-under-test.ts';
import { ServerUnderTest } from './server-under-test.ts';

const run = promisify(execFile);
const authority = testAuthority();
const nats = authority && (await debianPackages(['nats-server']));
const mosquitto = authority && (await debianPackages(['mosquitto']));
const logged = { partition: 0, offset: 0, timeMs: 0, recordedAtMs: 0, event: event('one') };

/** The certificate of the server and its key, in its folder. */
const certified = async ({ folder }: ServerUnderTest) => {
  await writeFile(join(folder, 'key.pem'), authority!.key);
  await writeFile(join(folder, 'cert.pem'), authority!.cert);
};

describe.skipIf(!nats || !mosquitto)(
  `brokers with TLS and passwords${nats && mosquitto ? '' : ' (skipped: they need Debian and openssl)'}`,
  () => {
    const servers: ServerUnderTest[] = [];
    const trusted = getCACertificates('default');
    beforeAll(async () => setDefaultCACertificates([...trusted, await readFile(authority!.caFile, 'utf8')]));
    afterAll(async () => {
      setDefaultCACertificates(trusted);
      for (const server of servers) await server.close();
    });

    it('are reached by NATS, which says when they refuse', async () => {
      const server = await ServerUnderTest.start(
        ({ port, folder }) => [
          join(nats!.root, 'usr/sbin/nats-server'),
          ...['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder, '--user', 'u', '--pass', 'secret'],
          ...['--tls', '--tlscert', join(folder, 'cert.pem'), '--tlskey', join(folder, 'key.pem')],
        ],
        nats!.env,
        certified,
      );
      servers.push(server);
      const at = { servers: [`127.0.0.1:${server.port}`], tls: true, user: 'u' };
      const refused = openSink(natsProtocol, { ...at, password: 'wrong', subject: 'out' });
      await expect(refused.deliver([logged])).rejects.toMatchObject({ code: 'bridges.refused' });
      const sink = openSink(natsProtocol, { ...at, password: 'secret', subject: 'out' });
      await expect(sink.deliver([logged])).rejects.toMatchObject({
        message: expect.stringContaining('No stream takes out.*'), // so it is in
      });
      const plain = openSink(natsProtocol, { ...at, tls: false, password: 'secret', subject: 'out' });
      await expect(plain.deliver([logged])).rejects.toMatchObject({
        code: expect.stringMatching(/^bridges\./),
      });
    });

    it('are reached by MQTT, which says when they refuse', async () => {
      const server = await ServerUnderTest.start(
        ({ folder }) => [join(mosquitto!.root, 'usr/sbin/mosquitto'), '-c', join(folder, 'mosquitto.conf')],
        mosquitto!.env,
        async (one) => {
          await certified(one);
          const at = (name: string) => join(one.folder, name);
          await run(
            join(mosquitto!.root, 'usr/bin/mosquitto_passwd'),
            ['-b', '-c', at('passwords'), 'u', 'secret'],
            { env: { ...process.env, ...mosquitto!.env } },
          );
          await writeFile(
            at('mosquitto.conf'),
            [
              ...['user root', `listener ${one.port} 127.0.0.1`, 'allow_anonymous false'],
              ...[
                `certfile ${at('cert.pem')}`,
                `keyfile ${at('key.pem')}`,
                `password_file ${at('passwords')}`,
              ],
            ].join('\n'),
          );
        },
      );
      servers.push(server);
      const at = { broker: `127.0.0.1:${server.port}`, tls: true, username: 'u' };
      const refused = openSink(mqttProtocol, { ...at, password: 'wrong', topic: 'a' });
      await expect(refused.deliver([logged])).rejects.toMatchObject({ code: 'bridges.refused' });
      const unread = openSource(mqttProtocol, { ...at, password: 'wrong', topics: ['a'] });
      const reading = unread.read(undefined, new AbortController().signal)[Symbol.asyncIterator]();
      await expect(reading.next()).rejects.toMatchObject({ code: 'bridges.refused' });
      const sink = openSink(mqttProtocol, { ...at, password: 'secret', topic: 'a' });
      expect(await sink.deliver([logged])).toEqual({ undone: [], refused: [] });
      await sink.close?.();
    });
  },
);
