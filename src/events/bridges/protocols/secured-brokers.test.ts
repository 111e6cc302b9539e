import { readFile } from 'node:fs/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testAuthority } from '../../../connectors/tls-under-test.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import { event } from '../../event-under-test.ts';
import { takenFrom } from './first-event-under-test.ts';
import { contextOf } from './protocol-under-test.ts';
import { AMQP, KAFKA, MQTT, NATS, type SecuredBroker } from './secured-brokers-under-test.ts';

const authority = testAuthority();
const trusted = getCACertificates('default');
const trust = (authorities: readonly string[]) => setDefaultCACertificates([...trusted, ...authorities]);
const logged = { partition: 0, offset: 0, timeMs: 0, recordedAtMs: 0, event: event('one') };
/** Every name is this machine, so that a certificate for another one can be met. */
const egress = { addresses: async () => [{ address: '127.0.0.1', family: 4 }], folders: [] };

describe.each([KAFKA, AMQP, NATS, MQTT])('a broker over TLS: $name', (kind) => {
  describe.skipIf(!authority || !kind.isHere)(kind.isHere ? '' : `(skipped: ${kind.reason})`, () => {
    let broker: SecuredBroker;
    let ca: string;
    beforeAll(async () => {
      ca = await readFile(authority!.caFile, 'utf8');
      trust([ca]);
      broker = await kind.start(authority!);
    }, 120_000);
    afterAll(async () => {
      trust([]);
      await broker?.close();
    });

    const openSink = async (more: JsonObject = {}) =>
      kind.protocol.sink!.open(
        { ...contextOf(kind.protocol), egress },
        { ...broker.settings, ...broker.sink, ...more },
      );
    const openSource = async (answered: () => void, more: JsonObject = {}) =>
      kind.protocol.source!.open(
        { ...contextOf(kind.protocol, { answered }), egress },
        { ...broker.settings, ...broker.source, ...more },
      );
    /** What a sink and a source say when they may not, or cannot. */
    const faultsOf = async (more: JsonObject) => {
      const give = async () => {
        const sink = await openSink(more);
        return sink.deliver([logged]).finally(() => sink.close?.());
      };
      const take = async () => takenFrom(await openSource(() => {}, more));
      return Promise.all([give(), take()].map((one) => one.catch((error: unknown) => error)));
    };

    it.each(kind.logins)('takes and gives events, logged in by %s', async (login) => {
      const more = broker.login(login, 'secret');
      const { promise: answered, resolve } = Promise.withResolvers<void>();
      const taking = takenFrom(await openSource(resolve, more));
      await Promise.race([answered, taking]); // a failure of it is the answer
      const sink = await openSink(more);
      expect(await sink.deliver([{ ...logged, event: event(login) }])).toMatchObject({ undone: [] });
      expect(await taking).toBe(login);
      await sink.close?.();
    });

    it.each(kind.logins)('says that it is refused with a wrong password of %s', async (login) => {
      const refused = { code: 'bridges.refused' };
      expect(await faultsOf(broker.login(login, 'wrong'))).toMatchObject([refused, refused]);
    });

    it('refuses a certificate of an authority that nobody named, and says so', async () => {
      trust([]);
      const refused = {
        code: 'bridges.certificate_refused',
        message: expect.stringMatching(/unable to verify the first certificate \(UNABLE_TO/),
      };
      const faults = await faultsOf({}).finally(() => trust([ca]));
      expect(faults).toMatchObject([refused, refused]);
    });

    it('refuses a certificate of another name, and says which', async () => {
      const refused = {
        code: 'bridges.certificate_refused',
        message: expect.stringMatching(/other\.test.*DNS:server\.test/),
      };
      expect(await faultsOf(broker.at('other.test'))).toMatchObject([refused, refused]);
    });

    it('takes a certificate that names the address', async () => {
      const warnings: Error[] = [];
      const warned = (warning: Error) => void warnings.push(warning);
      process.on('warning', warned);
      const sink = await openSink(broker.at('127.0.0.1'));
      expect(await sink.deliver([{ ...logged, offset: 1 }])).toMatchObject({ undone: [] });
      await sink.close?.();
      process.off('warning', warned);
      expect(warnings.filter(({ message }) => message.includes('ServerName'))).toEqual([]);
    });

    it('is not spoken to in plain text', async () => {
      const faults = (await faultsOf({ tls: false })) as { code: string }[];
      // NATS tells a client to go over to TLS, and then the certificate is held to a name that nobody said.
      for (const { code } of faults) expect(code).toMatch(/^bridges\.(unreachable|certificate_refused)$/);
    });
  });
});
