import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Static, TSchema } from 'typebox';
import { AiosError } from '../kernel/errors.ts';

/** Who calls: an API key, a console session, or AIOS itself. */
export interface Caller {
  readonly id: string;
  readonly name: string;
  readonly kind: 'key' | 'session' | 'system';
  readonly roles: readonly string[];
  readonly groups: readonly string[];
  /** Set for the key of a training, which is for its run and its model alone. */
  readonly training?: TrainingBounds | null;
}

/** What the key of a training is for. */
interface TrainingBounds {
  readonly trainingRun: string;
  readonly model: string | null;
  readonly startedBy: string | null;
}

/** A caller as the audit log names who did something. */
export function actorOf({ kind, id }: Caller): { kind: string; id: string } {
  return { kind, id };
}

/** What authentication goes by: a request of fastify, or one that was read without it. */
type Arrival = Pick<FastifyRequest, 'method' | 'url' | 'headers'>;

/** What the doors need of the access module. */
export interface AccessPort {
  /** The caller behind a request's headers; undefined when there is none. Throws when a credential is given and wrong. */
  authenticate(request: Arrival): Promise<Caller | undefined> | Caller | undefined;
  can(caller: Caller, permission: string): boolean;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The one permission that the route needs; `public` for none. A test walks all routes. */
    permission?: string;
  }
  interface FastifyRequest {
    caller?: Caller;
  }
}

interface Call<Body, Query, Params> {
  readonly body: Body;
  readonly query: Query;
  readonly params: Params;
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

type Of<Schema> = Schema extends TSchema ? Static<Schema> : unknown;

export interface Route<
  Body extends TSchema | undefined,
  Query extends TSchema | undefined,
  Params extends TSchema | undefined,
> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly permission: string;
  readonly summary: string;
  readonly tag: string;
  readonly body?: Body;
  readonly query?: Query;
  readonly params?: Params;
  readonly answer?: TSchema;
  /** 200 unless the handler sets another; documented as the status of `answer`. */
  readonly status?: number;
  /** What it returns is sent as JSON; a handler that answers by itself returns nothing. */
  handle(call: Call<Of<Body>, Of<Query>, Of<Params>>): unknown;
}

/**
 * Adds a route: validated by the schemas that the OpenAPI document shows, guarded by one permission.
 *
 * @example route(server, { method: 'GET', url: '/api/v1/me', permission: 'public', summary: 'Who am I', tag: 'access', handle: ({ caller }) => caller })
 */
export function route<
  Body extends TSchema | undefined = undefined,
  Query extends TSchema | undefined = undefined,
  Params extends TSchema | undefined = undefined,
>(server: FastifyInstance, definition: Route<Body, Query, Params>): void {
  const {
    method,
    url,
    permission,
    summary,
    tag,
    body,
    query,
    params,
    answer,
    status = 200,
    handle,
  } = definition;
  server.route({
    method,
    url,
    config: { permission },
    schema: {
      summary,
      tags: [tag],
      ...(permission === 'public'
        ? {}
        : { security: [{ key: [] }], description: `Permission: \`${permission}\`.` }),
      ...(body ? { body } : {}),
      ...(query ? { querystring: query } : {}),
      ...(params ? { params } : {}),
      ...(answer ? { response: { [status]: answer } } : {}),
    },
    // Answers are ours already: compiling a serializer per route would drop members that a schema leaves open.
    serializerCompiler: () => JSON.stringify,
    handler: (request, reply) => {
      if (status !== 200) reply.code(status);
      return handle({
        body: request.body as Of<Body>,
        query: request.query as Of<Query>,
        params: request.params as Of<Params>,
        caller: request.caller as Caller,
        request,
        reply,
      });
    },
  });
}

/** Every route needs its caller's permission; a route that names none is refused when the server starts. */
export function guardRoutes(server: FastifyInstance, access: AccessPort): void {
  const added: RouteOptions[] = [];
  server.addHook('onRoute', (options) => void added.push(options));
  server.addHook('onReady', async () => {
    const open = added.filter(({ method, config }) => method !== 'HEAD' && !config?.permission);
    if (open.length > 0)
      throw new Error(`routes that name no permission: ${open.map(({ url }) => url).join(', ')}`);
  });
  server.addHook('onRequest', async (request) => {
    const permission = request.routeOptions.config.permission;
    if (permission === undefined) return; // no such route: the 404 says so to everybody
    // Postgres takes no NUL in a text.
    if (request.url.includes('%00'))
      throw new AiosError('request.invalid', { detail: 'The address holds a NUL character (%00).' });
    const found = access.authenticate(request);
    const caller = found instanceof Promise ? await found : found;
    if (caller) request.caller = caller;
    if (permission === 'public') return;
    requirePermission(access, caller, permission);
  });
}

/** The caller, who may. @throws AiosError `access.unauthenticated`, `access.forbidden` */
export function requirePermission(
  access: Pick<AccessPort, 'can'>,
  caller: Caller | undefined,
  permission: string,
): Caller {
  if (!caller) throw new AiosError('access.unauthenticated');
  if (access.can(caller, permission)) return caller;
  throw new AiosError('access.forbidden', {
    detail: `${caller.name} has the roles ${caller.roles.join(', ') || 'none'}; this needs the permission ${permission}.`,
    extensions: { permission },
  });
}
