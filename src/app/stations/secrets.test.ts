// biome-ignore-all lint/suspicious/noTemplateCurlyInString: definitions hold secrets as ${secrets.NAME}
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Outgoing } from '../../connectors/outgoing.ts';
import { json, Remote } from '../../connectors/remote-under-test.ts';
import { connectorVariables } from '../../connectors/secrets.ts';
import { openBridge } from '../../events/bridges/running/bridge-run.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { filledText } from './bridges.ts';
import { createOpenAi } from './chat.ts';
import { lineageReceiver } from './openlineage.ts';
import { createRuntimes } from './runtimes.ts';

const REFUSED = { code: 'connectors.secret_refused' };
const limits = limitsFrom('');

describe('a secret that lists its hosts', () => {
  const remote = new Remote();
  const outgoing = new Outgoing({ limits, allowPrivate: ['127.0.0.1'] });
  const closers: (() => Promise<unknown>)[] = [];
  const variables = connectorVariables({
    env: {
      AIOS_SECRET_HERE: 's3cret-here',
      AIOS_HOSTS_OF_HERE: '127.0.0.1',
      AIOS_SECRET_AWAY: 's3cret-away',
      AIOS_HOSTS_OF_AWAY: 'api.example.org',
    },
  });
  const url = () => `http://127.0.0.1:${remote.port}/v1`;

  beforeAll(() => remote.listen());
  afterAll(async () => {
    for (const close of closers) await close();
    await outgoing.close();
    remote.close();
  });

  it('goes to the server of a language model where that is one of them', async () => {
    remote.respond = (response) => void json(response, 200, {});
    const { upstream } = createOpenAi({ limits, closers } as never, outgoing, variables);
    const target = { model: 'm', headers: {}, timeoutMs: 20_000, idleMs: 20_000, weight: 1 };
    const ask = (secret: string) =>
      upstream.get({ ...target, url: url(), secret } as never, '/models', AbortSignal.timeout(20_000));
    await expect(ask('AWAY')).rejects.toMatchObject(REFUSED);
    expect(remote.seen).toHaveLength(0);
    await ask('HERE');
    expect(remote.seen[0]!.headers.authorization).toBe('Bearer s3cret-here');
  });

  it.each([
    ['http', { request: '{}', response: '{}' }],
    ['oip', { protocol: 'http', model: 'm' }],
    ['oip', { protocol: 'grpc', model: 'm' }],
  ])('goes to the server of another model (%s, %j) where that is one of them', async (name, more) => {
    remote.seen.length = 0;
    const runtime = createRuntimes(limits, outgoing, variables)[name]!;
    const endpoint = { url: url(), headers: { 'x-key': '${secrets.AWAY}' }, ...more };
    const specs = [{ name: 'x', datatype: 'FP32' as const, shape: [-1, 1] }];
    await expect(
      runtime.start({ endpoint, signature: { inputs: specs, outputs: specs } } as never),
    ).rejects.toMatchObject(REFUSED);
    expect(remote.seen).toHaveLength(0);
  });

  it('goes to a sink of lineage where that is one of them, in its address too', () => {
    const receiver = (of: string, key?: string) =>
      lineageReceiver({ type: 'http', url: of, ...(key !== undefined && { apiKey: key }) }, variables);
    const refused = (of: string, key?: string) =>
      expect(() => receiver(of, key)).toThrow(expect.objectContaining(REFUSED));
    refused('https://evil.example', '${secrets.AWAY}');
    refused('https://evil.example/${secrets.AWAY}');
    expect(receiver('https://api.example.org/x/', '${secrets.AWAY}')).toEqual({
      origin: 'https://api.example.org',
      path: '/x/api/v1/lineage',
      headers: { authorization: 'Bearer s3cret-away' },
    });
  });

  it('lets its bridge connect to these alone, whatever brokers a cluster names', async () => {
    const connected: string[] = [];
    const told = async (
      host: string,
      egress: { addresses(host: string, port: number): Promise<unknown> },
    ) => {
      await egress.addresses(host, 9092);
      connected.push(host);
    };
    const protocol = {
      name: 'p',
      source: {
        async open({ egress }: { egress: never }) {
          await told('api.example.org', egress);
          await told('broker.evil.example', egress);
        },
      },
    };
    const definition = { name: 'b', from: { p: { password: '${secrets.AWAY}' } } };
    const opened = openBridge(
      definition as never,
      {
        ...{ protocols: [protocol], limits, folders: [], addresses: async () => [] },
        db: { query: async () => [{ space: 'of-the-test' }] },
        fill: (text: string) => filledText(text, variables),
      } as never,
    );
    await expect(opened).rejects.toMatchObject(REFUSED);
    expect(connected).toEqual(['api.example.org']);
  });
});
