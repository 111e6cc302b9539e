import { afterAll, beforeAll, expect, it } from 'vitest';
import { PERMISSIONS_OF, type Role } from '../access/permissions.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { secretsOf } from '../models/endpoint-secrets.ts';
import type { AccessPort } from './routes.ts';
import { modelRoutes } from './routes-models.ts';
import { createServer } from './server.ts';

const access: AccessPort = {
  authenticate: ({ headers }) => {
    const role = headers.authorization!.replace('Bearer ', '');
    return { id: role, name: role, kind: 'key', roles: [role], groups: [] };
  },
  can: ({ roles }, permission) => PERMISSIONS_OF[roles[0] as Role].has(permission),
};
const registered: unknown[] = [];
let server: Awaited<ReturnType<typeof createServer>>;
beforeAll(async () => {
  const models = {
    register: async ({ endpoint }: { endpoint: unknown }) => {
      registered.push(endpoint);
      return { name: 'm', version: 1, createdAt: 0 };
    },
  };
  server = await createServer({
    limits: limitsFrom(''),
    access,
    onFault: () => {},
    routes: [modelRoutes({ access, models, serving: {}, decisions: {} } as never)],
  });
});
afterAll(() => server.close());

const register = (role: Role, endpoint: object) =>
  server.inject({
    method: 'POST',
    url: '/api/v1/models/m/versions',
    headers: { authorization: `Bearer ${role}` },
    payload: { runtime: 'openai', endpoint },
  });
const url = 'https://mine.example/v1';
const naming = [
  { url, model: 'a', secret: 'PAYROLL' },
  { url, model: 'a', headers: { 'x-note': 'to ${secrets.PAYROLL}' } },
  { url, model: 'a', alternatives: [{ url, model: 'b', secret: 'PAYROLL' }] },
  { url, model: 'a', fallbacks: [{ url, model: 'b', headers: { authorization: '${secrets.PAYROLL}' } }] },
];

it.each(naming)(
  'an endpoint that names a secret takes the permission of definitions: %j',
  async (endpoint) => {
    registered.length = 0;
    const refused = await register('trainer', endpoint);
    expect(refused.statusCode).toBe(403);
    expect(refused.json()).toMatchObject({
      code: 'access.forbidden',
      detail: expect.stringContaining('PAYROLL'),
      permission: 'definitions.write',
    });
    expect(registered).toEqual([]);
    expect((await register('operator', endpoint)).statusCode).toBe(201);
    expect(registered).toEqual([endpoint]);
  },
);

it('one without a secret takes what any version takes', async () => {
  expect((await register('trainer', { url, model: 'secrets of ${env.A}' })).statusCode).toBe(201);
  expect(secretsOf({ a: ['${secrets.A} ${secrets.B}', { secret: 'C' }], b: 1, c: null })).toEqual([
    'A',
    'B',
    'C',
  ]);
});
