import { describe, expect, it } from 'vitest';
import { openedApi } from './opened-api-under-test.ts';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema: { readonly type?: string };
}

describe('whole numbers in addresses', () => {
  const { api } = openedApi();
  const ask = async (method: string, url: string) => {
    const headers = { authorization: `Bearer ${api.keys.admin}` };
    const answer = await api.server.inject({ method: method as 'GET', url, headers });
    return {
      status: answer.statusCode,
      body: answer.json() as { code?: string; issues?: { path: string }[] },
    };
  };

  it('are decimal digits, whatever route reads them', async () => {
    const { paths } = (await ask('GET', '/api/v1/openapi.json')).body as unknown as {
      paths: Record<string, Record<string, { parameters?: Parameter[] }>>;
    };
    const places: [string, string, string][] = [];
    // Protocols of others have errors of their own.
    for (const [path, operations] of Object.entries(paths).filter(([one]) => one.startsWith('/api/v1/')))
      for (const [method, { parameters = [] }] of Object.entries(operations))
        for (const { name, in: place } of parameters.filter((one) => one.schema.type === 'integer')) {
          const named = path.replaceAll(/\{(\w+)\}/g, (_, other: string) => (other === name ? '%' : 'x'));
          places.push([method.toUpperCase(), place === 'path' ? named : `${named}?${name}=%`, name]);
        }
    expect(places.length).toBeGreaterThan(20);
    expect(places.map(([, url]) => url)).toContain('/api/v1/models/x/versions/%/quantize');
    for (const [method, url, name] of places)
      for (const written of ['0x1', '1e0', '%201', '1.0', '+1']) {
        const { status, body } = await ask(method, url.replace('%', written));
        expect([status, body.code, method, url, written]).toEqual([
          400,
          'request.invalid',
          method,
          url,
          written,
        ]);
        expect(body.issues!.map(({ path }) => path)).toContain(`/${name}`);
      }
    expect((await ask('GET', '/api/v1/runs?limit=2')).status).toBe(200);
    expect((await ask('GET', '/api/v1/runs?limit=0')).body.issues).toMatchObject([{ path: '/limit' }]);
  });
});
