import { expect, it } from 'vitest';
import { systemClock } from '../../../kernel/clock.ts';
import { AiosError } from '../../../kernel/errors.ts';
import { limitsFrom } from '../../../kernel/limits.ts';
import type { BridgeProtocol } from '../port/protocol.ts';
import { bridgeOpening } from './bridge-context.ts';
import type { BridgesDependencies } from './bridges-dependencies.ts';

it('sends secrets of a schema registry to the registry alone, and all others to the other side alone', async () => {
  const asked: Parameters<BridgesDependencies['schemaRegistry']>[] = [];
  const { context, settings, secrets } = await bridgeOpening(
    {
      name: 'b',
      from: {
        memory: {
          sasl: { password: '${secrets.broker}' },
          schemas: { registry: { url: 'http://registry', token: '${secrets.registry}' } },
        },
      },
      allowPrivate: ['registry'],
    },
    {
      protocols: [{ name: 'memory', attributePrefixes: [] } satisfies BridgeProtocol],
      fill: (text) => {
        const [, name] = /secrets\.(\w+)/.exec(text) ?? [];
        const check = (host: string) => {
          if (name && host !== name) throw new AiosError('connectors.secret_refused', { detail: host });
        };
        return { text: name ? `the-${name}` : text, secrets: name ? [name] : [], check };
      },
      addresses: async (host) => [{ address: host, family: 4 }],
      schemaRegistry: (...given) => {
        asked.push(given);
        return { byId: async () => undefined, latest: async () => undefined, register: async () => 0 };
      },
      db: { query: async () => [{ space: 'of-the-test' }] } as never,
      ...{ folders: [], clock: systemClock, limits: limitsFrom() },
    },
    { report() {}, answered() {} },
  );
  expect(settings).toEqual({
    sasl: { password: 'the-broker' },
    schemas: { registry: { url: 'http://registry', token: 'the-registry' } },
  });
  expect(secrets).toEqual(['broker', 'registry']);
  await expect(context.egress.addresses('broker', 1)).resolves.toHaveLength(1);
  await expect(context.egress.addresses('registry', 1)).rejects.toThrow('registry');
  context.schemaRegistry({ url: 'http://registry', token: 'the-registry' });
  const [address, allowPrivate] = asked[0]!;
  expect(allowPrivate).toEqual(['registry']);
  expect(() => address!.check('registry', 80)).not.toThrow();
  expect(() => address!.check('broker', 80)).toThrow('broker');
});
