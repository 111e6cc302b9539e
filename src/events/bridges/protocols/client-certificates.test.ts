import { readFile } from 'node:fs/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testAuthority } from '../../../connectors/tls-under-test.ts';
import { systemClock } from '../../../kernel/clock.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import { event } from '../../event-under-test.ts';
import { takenFrom } from './first-event-under-test.ts';
import { contextOf } from './protocol-under-test.ts';
import { AMQP, KAFKA, MQTT, NATS, type SecuredBroker } from './secured-brokers-under-test.ts';

const authority = testAuthority();
const stranger = testAuthority();
const trusted = getCACertificates('default');
const logged = { partition: 0, offset: 0, timeMs: 0, recordedAtMs: 0, event: event('one') };
/** Every name is this machine. */
const egress = { addresses: async () => [{ address: '127.0.0.1', family: 4 }], folders: [] };
/** When the certificates of a test are over. */
const later = { ...systemClock, now: () => Date.now() + 30 * 86_400_000 };

describe.each([KAFKA, AMQP, NATS, MQTT])('a broker that asks for certificates: $name', (kind) => {
  describe.skipIf(!authority || !kind.isHere)(kind.isHere ? '' : `(skipped: ${kind.reason})`, () => {
    let broker: SecuredBroker;
    beforeAll(async () => {
      const ca = await readFile(authority!.caFile, 'utf8');
      setDefaultCACertificates([...trusted, ca]);
      broker = await kind.start({ ...authority!, clientAuthority: ca });
    }, 120_000);
    afterAll(async () => {
      setDefaultCACertificates(trusted);
      await broker?.close();
    });

    const openSink = async (tls: JsonObject | true, clock = systemClock) =>
      kind.protocol.sink!.open(
        { ...contextOf(kind.protocol, { clock }), egress },
        { ...broker.settings, ...broker.sink, tls },
      );
    const openSource = async (tls: JsonObject | true, answered: () => void = () => {}, clock = systemClock) =>
      kind.protocol.source!.open(
        { ...contextOf(kind.protocol, { answered, clock }), egress },
        { ...broker.settings, ...broker.source, tls },
      );
    /** What a sink and a source say when they may not. */
    const faultsOf = async (tls: JsonObject | true, clock = systemClock) => {
      const give = async () => {
        const sink = await openSink(tls, clock);
        return sink.deliver([logged]).finally(() => sink.close?.());
      };
      const take = async () => takenFrom(await openSource(tls, undefined, clock));
      return Promise.all([give(), take()].map((one) => one.catch((error: unknown) => error)));
    };
    const pair = () => ({ certificate: authority!.cert, key: authority!.key });

    it('takes and gives events by a certificate alone', async () => {
      const { promise: answered, resolve } = Promise.withResolvers<void>();
      // As it stands in a file of secrets.
      const tls = { ...pair(), key: authority!.key.replaceAll('\n', '\\n') };
      const taking = takenFrom(await openSource(tls, resolve));
      await Promise.race([answered, taking]); // a failure of it is the answer
      const sink = await openSink(pair());
      expect(await sink.deliver([logged])).toMatchObject({ undone: [] });
      expect(await taking).toBe('one');
      await sink.close?.();
    });

    /**
     * A server that closes while something that we sent is unread resets the connection, and the system drops the alert before it (RFC 9293, 3.6.1): then the next
     * try may tell.
     */
    const untilTold = (faults: () => Promise<unknown[]>, told: object) =>
      expect.poll(faults, { timeout: 30_000 }).toMatchObject([told, told]);

    it('says that a certificate is asked for', async () => {
      const required = { code: 'bridges.client_certificate_required' };
      await untilTold(() => faultsOf(true), required);
    });

    it('says that the certificate of another authority is refused', async () => {
      const refused = { code: 'bridges.client_certificate_refused' };
      await untilTold(() => faultsOf({ certificate: stranger!.cert, key: stranger!.key }), refused);
    });

    it.each([
      ['is over', () => pair(), later, /`certificate` ended on \d{4}-/],
      ['is not of the key', () => ({ ...pair(), key: stranger!.key }), systemClock, /not the key of/],
      [
        'cannot be read',
        () => ({ ...pair(), certificate: 'nonsense' }),
        systemClock,
        /no certificate in PEM/,
      ],
      ['has no key', () => ({ ...pair(), key: 'nonsense' }), systemClock, /no private key in PEM/],
    ])('says of a certificate that it %s, before anything is sent', async (_, tls, clock, message) => {
      const invalid = {
        code: 'bridges.client_certificate_invalid',
        message: expect.stringMatching(message),
      };
      expect(await faultsOf(tls(), clock)).toMatchObject([invalid, invalid]);
    });
  });
});
