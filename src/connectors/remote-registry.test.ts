import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AiosError } from '../kernel/errors.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { Outgoing } from './outgoing.ts';
import { RemoteRegistry } from './remote-registry.ts';

const money = { type: 'record', name: 'n.Money', fields: [{ name: 'amount', type: 'long' }] };

describe('a schema registry at an address', () => {
  let server: Server;
  let url: string;
  const answers = new Map<string, [number, unknown]>();
  const asked: { url: string | undefined; authorization: string | undefined }[] = [];
  const posted: unknown[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push({ url: request.url, authorization: request.headers.authorization });
      let sent = '';
      request.on('data', (bytes) => (sent += bytes)).on('end', () => sent && posted.push(JSON.parse(sent)));
      const [status, body] = answers.get(request.url!) ?? [404, { error_code: 40403, message: 'not found' }];
      response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((done) => server.close(done)));
  beforeEach(() => {
    answers.clear();
    asked.length = 0;
    posted.length = 0;
  });
  const limits = limitsFrom();
  const outgoing = new Outgoing({ limits, allowPrivate: [] });
  const open = (more: object = {}, path = '') =>
    new RemoteRegistry({ url: url + path, ...more }, outgoing.allowing(['127.0.0.1']));

  it('gives schemas by id and the newest of a subject, of Avro where no type is told', async () => {
    answers.set('/api/schemas/ids/7', [200, { schema: '"string"' }]);
    answers.set('/api/subjects/a%2Fb-value/versions/latest', [
      200,
      { subject: 'a/b-value', id: 8, version: 2, schemaType: 'JSON', schema: '{}' },
    ]);
    const registry = open({}, '/api/');
    expect(await registry.byId(7)).toEqual({ id: 7, type: 'AVRO', schema: 'string' });
    expect(await registry.latest('a/b-value')).toEqual({ id: 8, type: 'JSON', schema: null });
    expect(await registry.byId(9)).toBeUndefined();
    expect(await registry.latest('nothing')).toBeUndefined();
  });

  it('gives a schema whole, with all that it refers to', async () => {
    const reference = (name: string, subject: string) => ({ name, subject, version: 1 });
    const price = { type: 'record', name: 'n.Price', fields: [{ name: 'net', type: 'Money' }] };
    answers.set('/schemas/ids/1', [
      200,
      { schema: '{"type":"array","items":"n.Price"}', references: [reference('n.Price', 'price')] },
    ]);
    answers.set('/subjects/price/versions/1?deleted=true', [
      200,
      { schema: JSON.stringify(price), references: [reference('n.Money', 'money')] },
    ]);
    answers.set('/subjects/money/versions/1?deleted=true', [
      200,
      // Schemas cannot refer to each other in a circle; an answer may.
      { schema: JSON.stringify(money), references: [reference('n.Price', 'price')] },
    ]);
    expect(await open().byId(1)).toEqual({
      ...{ id: 1, type: 'AVRO' },
      schema: {
        type: 'array',
        items: { type: 'record', name: 'n.Price', fields: [{ name: 'net', type: money }] },
      },
    });
    answers.delete('/subjects/money/versions/1?deleted=true');
    await expect(open().byId(1)).rejects.toMatchObject({ code: 'definition.invalid' });
  });

  it('refuses schemas that refer to more than they may', async () => {
    for (let n = 0; n < 200; n++)
      answers.set(n === 0 ? '/schemas/ids/1' : `/subjects/s${n}/versions/1?deleted=true`, [
        200,
        { schema: '"int"', references: [{ name: 'x', subject: `s${n + 1}`, version: 1 }] },
      ]);
    await expect(open().byId(1)).rejects.toThrow('schemaReferencesMax');
    expect(asked).toHaveLength(limits.schemaReferencesMax + 1);
  });

  it('registers a schema, and says why it may not', async () => {
    const path = '/subjects/a%2Fb-value/versions';
    const register = (type: string) => open().register('a/b-value', { type, schema: { type: 'string' } });
    answers.set(path, [200, { id: 12 }]);
    expect([await register('AVRO'), await register('JSON')]).toEqual([12, 12]);
    const schema = '{"type":"string"}';
    expect(posted).toEqual([{ schema }, { schemaType: 'JSON', schema }]);
    for (const status of [409, 422]) {
      answers.set(path, [status, { error_code: status, message: 'incompatible: no default' }]);
      await expect(register('AVRO')).rejects.toMatchObject({
        ...{ code: 'bridges.schema_refused', message: 'a/b-value: incompatible: no default' },
      });
    }
    answers.set(path, [403, { error_code: 40301, message: 'no' }]);
    await expect(register('AVRO')).rejects.toMatchObject({ code: 'bridges.registry_refused' });
    for (const answer of [
      [200, {}],
      [404, '<html>'],
      [500, {}],
    ] as [number, unknown][]) {
      answers.set(path, answer);
      await expect(register('AVRO')).rejects.toMatchObject({ code: 'bridges.registry_unreachable' });
    }
  });

  it('is shown its credentials, and they go nowhere that they may not', async () => {
    answers.set('/schemas/ids/7', [200, { schema: '"int"' }]);
    await open({ username: 'a', password: 'b:c' }).byId(7);
    await open({ token: 't' }).byId(7);
    await open().byId(7);
    expect(asked.map(({ authorization }) => authorization)).toEqual([
      `Basic ${Buffer.from('a:b:c').toString('base64')}`,
      'Bearer t',
      undefined,
    ]);
    const check = (host: string) => {
      throw new AiosError('connectors.secret_refused', { detail: host });
    };
    await expect(open({ token: 't', check }).byId(7)).rejects.toMatchObject({
      ...{ code: 'connectors.secret_refused', message: '127.0.0.1' },
    });
    expect(asked).toHaveLength(3);
  });

  it.each<[string, [number, unknown], string]>([
    ['refuses', [401, { error_code: 401, message: 'Unauthorized' }], 'bridges.registry_refused'],
    ['forbids', [403, { error_code: 40301, message: 'no' }], 'bridges.registry_refused'],
    ['fails', [500, { error_code: 50001, message: 'oh' }], 'bridges.registry_unreachable'],
    ['is another server', [404, '<html>'], 'bridges.registry_unreachable'],
    ['sends elsewhere', [302, ''], 'bridges.registry_unreachable'],
    ['answers with no JSON', [200, 'ok'], 'bridges.registry_unreachable'],
    ['answers without a schema', [200, {}], 'definition.invalid'],
    [
      'answers with too much',
      [200, 'x'.repeat(limits.connectorResponseBytesMax + 1)],
      'connectors.response_too_large',
    ],
    ['nests too deep', [200, { schema: '['.repeat(500) + ']'.repeat(500) }], 'request.too_deep'],
  ])('that %s is told', async (_, answer, code) => {
    answers.set('/schemas/ids/7', answer);
    await expect(open().byId(7)).rejects.toMatchObject({ code });
  });

  it('that is not there or may not be reached is told', async () => {
    const nobody = new RemoteRegistry({ url: 'http://127.0.0.1:1' }, outgoing.allowing(['127.0.0.1']));
    await expect(nobody.byId(1)).rejects.toMatchObject({ code: 'bridges.registry_unreachable' });
    await expect(new RemoteRegistry({ url }, outgoing).byId(1)).rejects.toMatchObject({
      code: 'connectors.egress_refused',
    });
    await expect(new RemoteRegistry({ url: 'nothing' }, outgoing).byId(1)).rejects.toMatchObject({
      code: 'bridges.registry_unreachable',
    });
  });
});
