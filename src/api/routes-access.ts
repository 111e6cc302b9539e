import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { type Access, sessionCookie } from '../access/access.ts';
import { checkBrowser } from '../access/browser-guard.ts';
import type { KeyInfo } from '../access/key-list.ts';
import { PERMISSIONS } from '../access/permissions.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import { type AccessPort, type Caller, route } from './routes.ts';
import { IdParams, iso, isoOrUndefined, pageOf, pageQuery } from './shapes.ts';

interface Dependencies {
  access: Access;
  limits: Limits;
  /** `https://host` of the proxy that browsers reach us by; the session's cookie is then bound to https and that host. */
  publicOrigin?: string | undefined;
}

// Probes and scrapers come by whatever address they have (Kubernetes by that of the pod), and get nothing that is worth guarding.
const ANY_HOST = new Set(['/healthz', '/readyz', '/metrics', '/v2/health/live', '/v2/health/ready']);

/**
 * Authentication of every request: by key, or by the console's session if the browser's headers say that our own page asks. `hosts` are the
 * names we may be called by without a key; a page of another name that resolves to our address gets nothing.
 */
export function createAccessPort(access: Access, hosts: ReadonlySet<string>): AccessPort {
  return {
    authenticate(request) {
      const { headers, method } = request;
      if (headers.authorization === undefined && !ANY_HOST.has(request.url))
        checkBrowser(method, headers, hosts, headers.cookie !== undefined);
      return access.authenticate(headers.authorization, headers.cookie);
    },
    can: (caller, permission) => access.can(caller as Parameters<Access['can']>[0], permission),
  };
}

const Me = Type.Object({
  id: Type.String(),
  name: Type.String(),
  kind: Type.String(),
  roles: Type.Array(Type.String()),
  groups: Type.Array(Type.String()),
  permissions: Type.Array(Type.String()),
});
const Key = Type.Object({
  id: Type.String(),
  name: Type.String(),
  roles: Type.Array(Type.String()),
  groups: Type.Array(Type.String()),
  createdAt: Type.String({ format: 'date-time' }),
  createdBy: Type.String(),
  lastUsedAt: Type.Optional(Type.String({ format: 'date-time' })),
  expiresAt: Type.Optional(Type.String({ format: 'date-time' })),
  revokedAt: Type.Optional(Type.String({ format: 'date-time' })),
  trainingRun: Type.Optional(Type.String({ description: 'the training that it was created for' })),
});
const KeysQuery = pageQuery({
  state: Type.Optional(
    Type.Union([Type.Literal('in-force'), Type.Literal('ended')], {
      default: 'in-force',
      description:
        '`in-force` answers all of them, whatever the limit; `ended` those that were revoked or have expired, the last first, a page at a time',
    }),
  ),
});
const Groups = Type.Array(Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\u0000-\u001f]+$' }), {
  maxItems: 100,
  uniqueItems: true,
});
const NewKey = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200 }),
    roles: Type.Array(Type.String(), { minItems: 1 }),
    groups: Type.Optional(Groups),
    expiresAt: Type.Optional(
      Type.String({
        format: 'date-time',
        description: 'when it expires; never when left out',
      }),
    ),
  },
  { additionalProperties: false },
);
const tag = 'access';

/** Who calls, the console's sessions, and API keys. */
export function accessRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    sessionRoutes(server, dependencies);
    nameRoute(server, dependencies);
    keyRoutes(server, dependencies);
  };
}

function sessionRoutes(server: FastifyInstance, { access, limits, publicOrigin }: Dependencies): void {
  const secure = publicOrigin?.startsWith('https:') ?? false;
  const cookie = (session: string) => sessionCookie(session, secure, limits.sessionMs);
  route(server, {
    method: 'GET',
    url: '/login',
    permission: 'public',
    summary: 'Turn the one-time token of a login link into a session of the console',
    tag,
    query: Type.Object({ token: Type.String({ minLength: 1 }) }),
    status: 302,
    handle: async ({ query, reply }) => {
      const session = await access.login(query.token);
      return reply.header('set-cookie', cookie(session)).redirect('/');
    },
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/login',
    permission: 'public',
    summary: 'Turn an API key into a session of the console',
    tag,
    body: Type.Object({ key: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
    answer: Type.Object({ loggedIn: Type.Boolean() }),
    handle: async ({ body, reply }) => {
      reply.header('set-cookie', cookie(await access.sessionFor(body.key)));
      return { loggedIn: true };
    },
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/login-links',
    permission: 'keys.manage',
    summary: 'Create a one-time link that logs in to the console as the caller',
    tag,
    answer: Type.Object({ url: Type.String() }),
    handle: async ({ caller, request }) => ({
      url: `${publicOrigin ?? `http://${request.headers.host}`}/login?token=${await access.loginToken(caller.id)}`,
    }),
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/logout',
    permission: 'public',
    summary: 'End the session',
    tag,
    answer: Type.Object({ loggedIn: Type.Boolean() }),
    handle: async ({ request, reply }) => {
      await access.logout(request.headers.cookie);
      reply.header('set-cookie', sessionCookie('', secure, 0));
      return { loggedIn: false };
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/me',
    permission: 'public',
    summary: 'The caller and their permissions',
    tag,
    answer: Me,
    handle: ({ caller }) => {
      if (!caller) throw new AiosError('access.unauthenticated');
      const permissions = PERMISSIONS.filter((permission) => access.can(principalOf(caller), permission));
      return { ...caller, permissions };
    },
  });
}

/** For whoever has a key: the names stand beside what people did already; only ids that the caller names are looked up. */
function nameRoute(server: FastifyInstance, { access, limits }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/key-names',
    permission: 'public',
    summary: 'The names of keys by id, including revoked ones',
    tag,
    query: Type.Object({ ids: Type.String({ minLength: 1, description: 'Separated by commas' }) }),
    answer: pageOf(Type.Object({ id: Type.String(), name: Type.String() })),
    handle: async ({ query, caller }) => {
      if (!caller) throw new AiosError('access.unauthenticated');
      const ids = query.ids.split(',');
      if (ids.length > limits.keyNamesMax)
        throw new AiosError('request.invalid', {
          detail: `Ask for the names of at most ${limits.keyNamesMax} keys at once (keyNamesMax).`,
        });
      return { items: await access.namesOf(ids), nextCursor: null };
    },
  });
}

function keyRoutes(server: FastifyInstance, { access }: Dependencies): void {
  const permission = 'keys.manage';
  route(server, {
    method: 'GET',
    url: '/api/v1/keys',
    permission,
    summary: 'Active keys, or those that have ended',
    tag,
    query: KeysQuery,
    answer: pageOf(Key),
    handle: async ({ query: { state, limit = 50, cursor } }) => {
      if (state !== 'ended') return { items: (await access.keys()).map(toJson), nextCursor: null };
      const found = await access.endedKeys(limit + 1, cursor);
      const items = found.slice(0, limit).map(toJson);
      return { items, nextCursor: found.length > limit ? items.at(-1)!.id : null };
    },
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/keys',
    permission,
    summary: 'Create a key; it is shown once',
    tag,
    body: NewKey,
    status: 201,
    answer: Type.Object({ id: Type.String(), key: Type.String() }),
    handle: ({ body, caller }) =>
      access.createKey(body.name, body.roles, caller.id, body.groups, {
        expiresAt: body.expiresAt === undefined ? undefined : Date.parse(body.expiresAt),
      }),
  });
  route(server, {
    method: 'PUT',
    url: '/api/v1/keys/:id/groups',
    permission,
    summary: 'Set the groups of a key, which decide what tasks its holder may answer',
    tag,
    params: IdParams,
    body: Type.Object({ groups: Groups }, { additionalProperties: false }),
    answer: Type.Object({ id: Type.String(), groups: Type.Array(Type.String()) }),
    handle: async ({ params, body, caller }) => {
      await access.setGroups(params.id, body.groups, caller.id);
      return { id: params.id, groups: body.groups };
    },
  });
  route(server, {
    method: 'DELETE',
    url: '/api/v1/keys/:id',
    permission,
    summary: 'Revoke a key and all its sessions',
    tag,
    params: IdParams,
    answer: Type.Object({ id: Type.String(), revoked: Type.Boolean() }),
    handle: async ({ params, caller }) => {
      await access.revoke(params.id, caller.id);
      return { id: params.id, revoked: true };
    },
  });
}

function toJson({ trainingRun, ...key }: KeyInfo) {
  return {
    ...key,
    createdAt: iso(key.createdAt),
    lastUsedAt: isoOrUndefined(key.lastUsedAt),
    expiresAt: isoOrUndefined(key.expiresAt),
    revokedAt: isoOrUndefined(key.revokedAt),
    ...(trainingRun === null ? {} : { trainingRun }),
  };
}

/** A caller as the access module knows principals. */
export function principalOf({ roles }: Caller): Parameters<Access['can']>[0] {
  return { roles } as Parameters<Access['can']>[0];
}
