import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Connectors } from './connectors.ts';
import { isPrivateAddress, type Resolve } from './egress.ts';
import { CONNECTOR, openConnectors, Remote } from './remote-under-test.ts';

describe('connectors reach no private address', () => {
  let remote: Remote;
  let connectors: Connectors | undefined;
  beforeEach(async () => {
    remote = new Remote();
    await remote.listen();
  });
  afterEach(async () => {
    remote.close();
    await connectors?.close();
  });

  const without = CONNECTOR.replace(/allowPrivate.*\n/, '');
  const reach = async (baseUrl: string, allow = '', resolve?: Resolve) => {
    const env = { AIOS_VAR_REFUNDS_URL: baseUrl, AIOS_SECRET_TOKEN: 't' };
    ({ connectors } = openConnectors(`${without}${allow}`, env, '', resolve));
    const call = { connector: 'refunds', operation: 'charge', input: {}, idempotencyKey: 'k' };
    return connectors.call(call);
  };
  const names: Resolve = (_, done) =>
    done(null, [
      { address: '93.184.216.34', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]);

  it.each([
    '127.0.0.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0x7f.1',
    '2130706433',
    'localhost',
    '169.254.169.254',
  ])('such as %s', async (host) => {
    await expect(reach(`http://${host}:${remote.port}`)).rejects.toMatchObject({
      code: 'connectors.egress_refused',
    });
    expect(remote.seen).toHaveLength(0);
  });

  it('behind a name with one public and one private address', async () => {
    await expect(reach(`http://shop.example:${remote.port}`, '', names)).rejects.toMatchObject({
      code: 'connectors.egress_refused',
    });
  });

  it('on another port than the allowed one', async () => {
    await expect(
      reach(`http://127.0.0.1:${remote.port}`, "allowPrivate: ['127.0.0.1:1']"),
    ).rejects.toMatchObject({
      code: 'connectors.egress_refused',
    });
  });

  it.each([
    ['http://127.0.0.1', '127.0.0.1'],
    ['http://shop.example', 'shop.example'],
  ])('unless it is allowed by name: %s', async (base, name) => {
    const local: Resolve = (_, done) => done(null, [{ address: '127.0.0.1', family: 4 }]);
    expect(
      await reach(`${base}:${remote.port}`, `allowPrivate: ['${name}:${remote.port}']`, local),
    ).toMatchObject({
      status: 201,
    });
  });

  it('and tell a name that does not exist from one that is refused', async () => {
    const unknown: Resolve = (name, done) =>
      done(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }), []);
    await expect(reach(`http://none.example:${remote.port}`, '', unknown)).rejects.toMatchObject({
      code: 'connectors.unreachable',
      extensions: { attempts: 3 },
    });
  });
});

describe('a private address', () => {
  it.each([
    ['10.1.2.3', true],
    ['100.64.0.1', true],
    ['172.31.255.255', true],
    ['172.32.0.1', false],
    ['192.168.1.1', true],
    ['8.8.8.8', false],
    ['::ffff:10.0.0.1', true],
    ['::ffff:8.8.8.8', false],
    ['64:ff9b::a00:1', true],
    ['2002:a00:1::', true],
    ['fd00::1', true],
    ['fe80::1', true],
    ['2606:4700:4700::1111', false],
    ['not an address', true],
  ])('%s: %s', (address, expected) => expect(isPrivateAddress(address)).toBe(expected));
});
