import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { type TestAuthority, testAuthority } from '../connectors/tls-under-test.ts';
import { openGrpcUnderTest } from './grpc-door-under-test.ts';
import { grpcSettings } from './grpc-settings.ts';

const authority = testAuthority();
const stranger = testAuthority();
const [CERT, KEY, CLIENTS] = [
  'AIOS_GRPC_TLS_CERT_FILE',
  'AIOS_GRPC_TLS_KEY_FILE',
  'AIOS_GRPC_TLS_CLIENT_CA_FILE',
];

describe('the settings of the gRPC door', () => {
  it('are those of HTTP, the port after its own, or what is named', () => {
    expect(grpcSettings({}, 7700)).toEqual({ port: 7701, isPortDefault: true });
    expect(grpcSettings({}, 0)).toMatchObject({ port: 0 });
    expect(grpcSettings({ AIOS_GRPC_PORT: '9001', AIOS_GRPC_HOST: '::' }, 7700)).toEqual({
      port: 9001,
      host: '::',
      isPortDefault: false,
    });
    expect(grpcSettings({ AIOS_GRPC_PORT: 'off' }, 7700)).toBeUndefined();
  });

  it('refuse what is no port', () => {
    for (const port of ['none', '-1', '65536', '1.5'])
      expect(() => grpcSettings({ AIOS_GRPC_PORT: port }, 7700)).toThrow(
        /AIOS_GRPC_PORT: “.+” is not a port/,
      );
  });
});

describe.skipIf(!authority)('the TLS of the gRPC door (needs openssl)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'aios-grpc-tls-'));
  const written = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const of = ({ cert, key, caFile }: TestAuthority, name: string) => ({
    cert: written(`${name}.pem`, cert),
    key: written(`${name}.key`, key),
    caFile,
  });
  const ours = of(authority as TestAuthority, 'ours');
  const others = of(stranger as TestAuthority, 'others');
  const nonsense = written('nonsense.pem', 'nonsense');
  const missing = join(folder, 'missing.pem');
  const pair = { [CERT]: ours.cert, [KEY]: ours.key };

  it.each([
    ['a certificate without its key', { [CERT]: ours.cert }, `${CERT} is set, and ${KEY} is not`],
    ['a key without its certificate', { [KEY]: ours.key }, `${KEY} is set, and ${CERT} is not`],
    ['authorities of clients alone', { [CLIENTS]: ours.caFile }, `${CLIENTS} is set, and ${CERT} is not`],
    ['a file that is missing', { ...pair, [CERT]: missing }, `${CERT} ${missing}: ENOENT`],
    ['a file without a certificate', { ...pair, [CERT]: nonsense }, `${CERT} ${nonsense}: It holds no`],
    ['a file without a key', { ...pair, [KEY]: nonsense }, `${KEY} ${nonsense}: `],
    [
      'the key of another',
      { ...pair, [KEY]: others.key },
      `${KEY} ${others.key} is not the key of the first`,
    ],
    ['no authorities of clients', { ...pair, [CLIENTS]: nonsense }, `${CLIENTS} ${nonsense}: It holds no`],
  ])('refuses %s, by the name of the variable', (_, env, detail) => {
    expect(() => grpcSettings(env, 7700)).toThrow(
      expect.objectContaining({ code: 'start.setting', message: expect.stringContaining(detail) }),
    );
  });

  /** What a client is told by the door: over TLS when it trusts an authority, with a certificate of its own or without. */
  async function ask(env: Record<string, string>, trusted?: TestAuthority, client?: TestAuthority) {
    const pem = client ? [client.key, client.cert].map((text) => Buffer.from(text)) : [];
    const channel = trusted
      ? credentials.createSsl(readFileSync(trusted.caFile), pem[0], pem[1])
      : credentials.createInsecure();
    const door = await openGrpcUnderTest({ tls: grpcSettings(env, 0)?.tls }, channel);
    const answered = await door.call('ServerLive', {}).catch(({ code }: { code: number }) => status[code]);
    await door.close();
    return answered;
  }
  const known = authority as TestAuthority;
  const unknown = stranger as TestAuthority;

  it('shows its certificate, and is not talked to without one', async () => {
    expect(await ask(pair, known)).toMatchObject({ live: true });
    expect(await ask(pair, unknown)).toBe('UNAVAILABLE');
    expect(await ask(pair)).toBe('UNAVAILABLE');
  });

  it('takes clients with a certificate of the authorities that are named, and no others', async () => {
    const mutual = { ...pair, [CLIENTS]: ours.caFile };
    expect(await ask(mutual, known, known)).toMatchObject({ live: true });
    expect(await ask(mutual, known)).toBe('UNAVAILABLE');
    expect(await ask(mutual, known, unknown)).toBe('UNAVAILABLE');
  });
});

describe('the port of the gRPC door', () => {
  const withTakenPort = async (isPortDefault: boolean) => {
    const other = createServer();
    const port = await new Promise<number>((done) =>
      other.listen(0, '127.0.0.1', () => done((other.address() as { port: number }).port)),
    );
    try {
      const opened = await openGrpcUnderTest({ port, isPortDefault });
      const answered = await opened.call('ServerLive', {});
      await opened.close();
      return { taken: port, answered, ...opened.door };
    } finally {
      other.close();
    }
  };

  it('is a free one where another process has that which nobody asked for', async () => {
    const { taken, port, portInUse, answered } = await withTakenPort(true);
    expect(answered).toMatchObject({ live: true });
    expect([portInUse, port === taken]).toEqual([taken, false]);
  });

  it('is an error where it was asked for', async () => {
    await expect(withTakenPort(false)).rejects.toThrow(
      /gRPC cannot listen on 127\.0\.0\.1:\d+: .*AIOS_GRPC_PORT/,
    );
  });
});
