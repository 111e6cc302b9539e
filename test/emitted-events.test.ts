import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OpenedApp, openApp } from './app-under-test.ts';

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
const CONTRACT = 'name: told\nversion: 1.0.0\nowner: shop\nschema: {}\n';
const FLOW = `
document: { dsl: 1.0.3, namespace: test, name: tells, version: 1.0.0 }
evaluate: { language: cel }
do:
  - e:
      emit:
        event:
          with:
            source: urn:test
            type: told
            id: '\${ input.?id.orValue(workflow.id) }'
            time: '\${ input.?time.orValue(null) }'
            specversion: '\${ input.?specversion.orValue("1.0") }'
            tenant: '\${ input.?tenant.orValue(null) }'
            data: '\${ input.?data.orValue(null) }'
`;
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: see above

interface Answer {
  id: string;
  status: string;
  error?: object;
  items: object[];
}

describe('an event that a flow emits', () => {
  let opened: OpenedApp;
  beforeAll(async () => {
    opened = await openApp({ project: { 'contracts/told.yaml': CONTRACT, 'workflows/tells.yaml': FLOW } });
  });
  afterAll(() => opened?.close());

  const ask = async (method: string, path: string, body?: object) => {
    const { url, adminKey } = opened.app;
    const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' };
    const sent = body && { body: JSON.stringify(body) };
    return (await fetch(`${url}/api/v1/${path}`, { method, headers, ...sent })).json() as Promise<Answer>;
  };
  const run = (input: object) => ask('POST', 'workflows/tells/runs?wait=10s', { input });

  it('comes into the log with the attributes that are set', async () => {
    const { status, id } = await run({ tenant: 'acme' });
    expect(status).toBe('completed');
    const { items } = await ask('GET', 'events?type=told');
    expect(items).toMatchObject([{ id, tenant: 'acme', type: 'told', time: expect.stringMatching(/^2/) }]);
  });

  it.each([
    ['an id that is no text', { id: 5 }, 'events.invalid'],
    ['a time that is none', { time: 'soon' }, 'events.invalid'],
    ['a time far ahead', { time: '2999-01-01T00:00:00Z' }, 'events.time_in_future'],
    ['another version', { specversion: '0.3' }, 'events.invalid'],
    ['an attribute that is an object', { tenant: { id: 1 } }, 'events.invalid'],
    ['more than an event may hold', { data: 'x'.repeat(1_100_000) }, 'events.payload_too_large'],
  ])('fails its step, as one from outside is refused, with %s', async (_, input, code) => {
    const { status, error } = await run(input);
    expect(status).toBe('failed');
    expect(error).toMatchObject({ code, instance: '/do/0/e' });
  });
});
