import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { JsonObject } from '../kernel/json.ts';
import { openedApi } from './opened-api-under-test.ts';

const contract = (version: string, schema: string, more = '') =>
  `name: order.placed\nversion: ${version}\nowner: shop\n${more}schema: ${schema}\n`;
const FIRST = '{ type: object, required: [total], properties: { total: { type: number } } }';
const SECOND =
  '{ type: object, required: [total], properties: { total: { type: number }, note: { type: string } } }';
const BREAKING = '{ type: object, required: [total], properties: { total: { type: integer } } }';

describe('the registry of contracts', () => {
  const { api, database } = openedApi();
  beforeAll(async () => {
    for (const text of [contract('1.0.0', FIRST), contract('1.1.0', SECOND)]) {
      const answer = await apply(text);
      expect(answer.statusCode).toBe(200);
    }
  });
  const apply = (text: string, dryRun = false) =>
    api.request({
      method: 'POST',
      url: `/api/v1/apply?dryRun=${dryRun}`,
      role: 'operator',
      body: { files: [{ path: 'contracts/order.placed.yaml', text }] },
    });
  const get = async (path: string) =>
    (
      await api.request({ method: 'GET', url: `/api/v1/contracts/order.placed${path}`, role: 'viewer' })
    ).json();

  it('lists versions newest first, and reads one by its number or as the latest', async () => {
    const { items } = await get('/releases');
    expect(items).toMatchObject([
      { version: '1.1.0', compatibility: 'BACKWARD' },
      { version: '1.0.0', compatibility: 'BACKWARD' },
    ]);
    expect(await get('/releases/latest')).toMatchObject({ version: '1.1.0', body: { owner: 'shop' } });
    expect(await get('/releases/1.0.0')).toMatchObject({ version: '1.0.0' });
    expect(await get('/releases/7.0.0')).toMatchObject({ code: 'contracts.unknown_version' });
  });

  it('refuses on plan and on apply what breaks the promise: where in the file, why, and the version to give', async () => {
    for (const dryRun of [true, false]) {
      const answer = await apply(contract('1.2.0', BREAKING), dryRun);
      expect(answer.json()).toMatchObject({
        code: 'contracts.incompatible',
        suggestedVersion: '2.0.0',
        checkedAgainst: ['1.1.0'],
        findings: [{ code: 'TYPE_NARROWED', direction: 'backward' }],
        issues: [
          {
            path: '/schema/properties/total/type',
            file: 'contracts/order.placed.yaml',
            line: 4,
            found: 'TYPE_NARROWED, against 1.1.0',
          },
        ],
      });
    }
  });

  it('says without changing anything what a schema would come to', async () => {
    const assess = async (body: JsonObject) =>
      (
        await api.request({
          method: 'POST',
          url: '/api/v1/contracts/order.placed/compatibility',
          role: 'viewer',
          body,
        })
      ).json();
    const wider = { type: 'object', properties: { total: { type: ['number', 'null'] } } };
    expect(await assess({ schema: wider })).toMatchObject({
      isCompatible: true,
      change: 'minor',
      suggestedVersion: '1.2.0',
      checkedAgainst: ['1.1.0'],
    });
    expect(await assess({ schema: wider, compatibility: 'FULL_TRANSITIVE' })).toMatchObject({
      isCompatible: false,
      checkedAgainst: ['1.1.0', '1.0.0'],
      suggestedVersion: '2.0.0',
    });
    expect(await assess({ schema: wider, compatibility: 'NONE' })).toMatchObject({
      isCompatible: true,
      checkedAgainst: [],
    });
    const same = { ...(await get('/releases/latest')).body.schema, title: 'an order' };
    expect(await assess({ schema: same })).toMatchObject({ change: 'patch', suggestedVersion: '1.1.1' });
    expect(await assess({ schema: wider, against: '1.0.0' })).toMatchObject({ checkedAgainst: ['1.0.0'] });
    expect(await assess({ schema: { type: 'banana' } })).toMatchObject({ code: 'definition.invalid' });
  });

  it('tells how versions differ, and who names the type', async () => {
    expect(await get('/diff?from=1.0.0&to=1.1.0')).toMatchObject({
      changes: [
        { path: '/version', before: '1.0.0', after: '1.1.0' },
        { path: '/schema/properties/note', after: { type: 'string' } },
      ],
      findings: [],
    });
    expect(await get('/uses')).toMatchObject({ items: [] });
    const flow = `
document: { dsl: '1.0.0', namespace: test, name: relay, version: '1.0.0' }
schedule: { on: { one: { with: { type: order.placed } } } }
do: [ { tell: { emit: { event: { with: { source: urn:test, type: order.placed, data: { total: 1 } } } } } } ]
`;
    const place = 'kafka: { brokers: [kafka.example.org], topic: order.placed }';
    const bridges = {
      in: `from: { ${place} }\nevents: { type: '"order.placed"' }`,
      out: `to: { ${place} }\ntypes: [order.placed]`,
      all: `to: { ${place} }`, // its topic is no type
    };
    const files = Object.entries(bridges).map(([name, text]) => ({
      path: `bridges/${name}.yaml`,
      text: `name: ${name}\npaused: true\n${text}`,
    }));
    const body = { files: [{ path: 'workflows/relay.yaml', text: flow }, ...files] };
    const applied = await api.request({ method: 'POST', url: '/api/v1/apply', role: 'operator', body });
    expect(applied.statusCode).toBe(200);
    expect(await get('/uses')).toMatchObject({
      items: [
        { kind: 'workflow', name: 'relay', roles: ['consumer', 'producer'] },
        { kind: 'bridge', name: 'in', roles: ['producer'] },
        { kind: 'bridge', name: 'out', roles: ['consumer'] },
      ],
    });
  });

  it('deprecates a version and takes that back, each once and on the audit log', async () => {
    const url = '/api/v1/contracts/order.placed/releases/1.0.0/deprecation';
    const body = { message: 'Use 1.1.0.', sunsetAt: '2027-01-01T00:00:00.000Z' };
    const put = () => api.request({ method: 'PUT', url, role: 'operator', body });
    expect((await api.request({ method: 'PUT', url, role: 'viewer', body })).statusCode).toBe(403);
    const first = (await put()).json();
    expect(first.deprecation).toMatchObject(body);
    expect((await put()).json()).toEqual(first);
    expect((await get('/releases')).items[1]).toEqual(first);
    expect(
      (await api.request({ method: 'DELETE', url, role: 'operator' })).json().deprecation,
    ).toBeUndefined();
    const [{ count }] = (await database.db.query(
      "select count(*)::int as count from audit_entries where object = 'contract:order.placed'",
    )) as [{ count: number }];
    expect(count).toBe(2);
  });

  it('deprecates once, and keeps since when, however many do it at once', async () => {
    const url = '/api/v1/contracts/order.placed/releases/1.1.0/deprecation';
    const change = (method: 'PUT' | 'DELETE', message = '') =>
      api.request({ method, url, role: 'operator', ...(method === 'PUT' && { body: { message } }) });
    const entries = async () => {
      const rows = await database.db.query<{ action: string }>(
        "select entry::json->>'action' as action from audit_entries where object = 'contract:order.placed' order by xid, seq",
      );
      return rows.slice(2).map(({ action }) => action); // those of the test before
    };
    const together = await Promise.all(Array.from({ length: 4 }, () => change('PUT', 'Leave.')));
    expect(together.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 200]);
    expect(await entries()).toEqual(['deprecated']);
    const { deprecatedAt } = (await get('/releases/1.1.0')).deprecation;
    await Promise.all(['A', 'B', 'C'].map((message) => change('PUT', message)));
    expect((await get('/releases/1.1.0')).deprecation).toMatchObject({ deprecatedAt });
    expect(await entries()).toHaveLength(4);
    await Promise.all([change('DELETE'), change('DELETE')]);
    expect((await entries()).slice(4)).toEqual(['undeprecated']);
  });

  it('gives what is taken and sent as AsyncAPI, in JSON and in YAML', async () => {
    const ask = (form: string) =>
      api.request({ method: 'GET', url: `/api/v1/asyncapi.${form}`, role: 'viewer' });
    const created = await api.request({
      method: 'POST',
      url: '/api/v1/webhooks',
      role: 'admin',
      body: { url: 'https://shop.example.org/hooks/of-the-receiver', types: ['order.placed'] },
    });
    const { id } = created.json();
    const document = (await ask('json')).json();
    expect(document.servers[`webhook.${id}`]).toEqual({ host: 'shop.example.org', protocol: 'https' });
    expect(document.operations[`webhook.${id}.send`]).toMatchObject({ action: 'send' });
    expect(JSON.stringify(document)).not.toContain('of-the-receiver');
    expect(document).toMatchObject({
      asyncapi: '3.0.0',
      channels: { ingest: { address: '/api/v1/events' }, stream: { address: '/api/v1/events/stream' } },
      components: { messages: { 'order.placed': { 'x-aios-version': '1.1.0' } } },
    });
    const yaml = await ask('yaml');
    expect(yaml.headers['content-type']).toContain('application/yaml');
    expect(parse(yaml.body)).toEqual(document);
  });
});
