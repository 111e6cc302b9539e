import { existsSync } from 'node:fs';
import staticPlugin from '@fastify/static';
import swaggerPlugin from '@fastify/swagger';
import { Ajv } from 'ajv';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { AiosError } from '../kernel/errors.ts';
import { addFormats, onlyInstants } from '../kernel/formats.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Serving } from '../serving/traffic/serving.ts';
import { onlyDecimals } from './address-integers.ts';
import { BodyIntake } from './body-intake.ts';
import { Cors } from './cors.ts';
import { withHeaders } from './document-headers.ts';
import { EventDoor } from './event-door.ts';
import { StreamGate } from './event-stream.ts';
import { InferDoor } from './infer-door.ts';
import { readJsonBodies } from './json-bodies.ts';
import { boundBodies } from './large-bodies.ts';
import type { LeanDoor } from './lean/door.ts';
import { listenLean } from './lean/listener.ts';
import { answerProblem, answerProblems, noRoute, type OnFault, setHeaders } from './problems.ts';
import type { Publisher } from './publisher.ts';
import { givenRequestId, newRequestId, REQUEST_ID } from './request-id.ts';
import { type AccessPort, guardRoutes } from './routes.ts';
import { traceRequests } from './tracing.ts';
import { boundTrainingKeys, type TrainingKeyDependencies } from './training-keys.ts';

/** A whole request arrives within it: who sends a byte at a time must not hold a connection for ever. Fastify's own default is no limit. */
const REQUEST_MS = 120_000;
const KEEP_ALIVE_MS = 72_000; // above the 60 s of common load balancers, so that they close first

const PAGE_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

const DESCRIPTION = [
  'Errors are RFC 9457 problems with a stable `code`. Lists answer `{items, nextCursor}`.',
  'Every answer has an `x-request-id`, the one that came with the request or a new one; problems have it as `requestId`.',
  'HEAD is taken wherever GET is; OPTIONS tells in `Allow` what an address takes, as does the answer 405 to any other method.',
].join(' ');

export interface ServerOptions {
  limits: Limits;
  access: AccessPort;
  /** Of large bodies, where another door shares it; of its own when left out. */
  intake?: BodyIntake;
  /** The folder of the built console; without it the API stands alone. */
  consoleDir?: string;
  /** Answers inferences before the framework does; without it they are routes like the others. */
  serving?: Pick<Serving, 'infer'>;
  /** What the keys of trainings are held to. */
  training?: TrainingKeyDependencies;
  /** Takes single events before the framework does, likewise. */
  publisher?: Publisher;
  /** Adds the routes of a module; called in order. */
  routes: readonly ((server: FastifyInstance) => void)[];
  /** Pages of other origins that may call; none when left out. */
  corsOrigins?: readonly string[] | undefined;
  onFault: OnFault;
}

/**
 * The HTTP door: routes with schemas and permissions, problems as errors, OpenAPI from the same schemas, the console as static files.
 * The caller listens.
 *
 * @example const server = await createServer(options); await server.listen({ host: '127.0.0.1', port: 7700 })
 */
export async function createServer(options: ServerOptions): Promise<FastifyInstance> {
  const { limits } = options;
  const cors = new Cors(options.corsOrigins ?? []);
  const server = fastify({
    logger: false,
    bodyLimit: limits.requestBytesMax,
    requestTimeout: REQUEST_MS,
    forceCloseConnections: 'idle',
    keepAliveTimeout: KEEP_ALIVE_MS,
    routerOptions: { maxParamLength: 512, ignoreTrailingSlash: true },
    frameworkErrors: (error, request, reply) => {
      tell(request, reply, cors);
      const detail = `${error.message}.`;
      return answerProblem(new AiosError('request.invalid', { detail }), request, reply, options.onFault);
    },
    genReqId: ({ headers }) => givenRequestId(headers, limits.requestIdCharsMax) ?? newRequestId(),
  });
  tellWithAnswers(server, cors);
  keepBodies(server);
  readJsonBodies(server, 'application/json', options);
  answerProblems(server, limits, options.onFault, cors);
  traceRequests(server);
  guardRoutes(server, options.access);
  if (options.training) boundTrainingKeys(server, options.training);
  const { intake = new BodyIntake(limits) } = options;
  boundBodies(server, intake, limits.requestBytesMax);
  server.server.maxConnections = limits.doorConnectionsMax;
  const streams = new StreamGate(limits, options.access);
  server.decorate('streams', streams);
  server.addHook('preClose', async () => streams.close());
  await server.register(swaggerPlugin, {
    transformObject: withHeaders,
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'AIOS',
        version: '1',
        description: DESCRIPTION,
      },
      components: {
        securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'An API key, `aios_…`' } },
      },
    },
  });
  for (const add of options.routes) await server.register(async (scope) => add(scope));
  server.get('/api/v1/openapi.json', { config: { permission: 'public' }, schema: { hide: true } }, () =>
    server.swagger(),
  );
  const doors = leanDoors(options, intake, cors);
  if (doors.length > 0) {
    const { requestIdCharsMax } = limits;
    const times = { requestMs: REQUEST_MS, keepAliveMs: KEEP_ALIVE_MS };
    const close = listenLean(server.server, doors, { requestIdCharsMax, ...times });
    server.addHook('preClose', async () => close());
  }
  if (options.consoleDir && existsSync(options.consoleDir)) await serveConsole(server, options.consoleDir);
  return server;
}

/** What every answer carries, set with its request: streams that leave the framework take it along. */
function tellWithAnswers(server: FastifyInstance, cors: Cors): void {
  let isClosing = false;
  server.addHook('preClose', async () => {
    isClosing = true;
  });
  server.addHook('onRequest', (request, reply, done) => {
    tell(request, reply, cors);
    done();
  });
  server.addHook('onSend', (_request, reply, _payload, done) => {
    // Kept alive, the connection of a request that was under way would hold up the stop for KEEP_ALIVE_MS.
    if (isClosing) reply.header('connection', 'close');
    done();
  });
}

function tell({ id, url, headers }: FastifyRequest, reply: FastifyReply, cors: Cors): void {
  reply.header(REQUEST_ID, id);
  // Answers are data: no browser guesses another type for them, and no address of ours goes to another site.
  reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer');
  setHeaders(reply, cors.headersOf(url, headers));
}

function leanDoors(
  { serving, publisher, access, limits, onFault }: ServerOptions,
  intake: BodyIntake,
  cors: Cors,
): LeanDoor[] {
  const guarded = { access, bodyBytesMax: limits.requestBytesMax, limits, intake, cors, onFault };
  return [
    ...(serving ? [new InferDoor(serving, guarded)] : []),
    ...(publisher ? [new EventDoor(publisher, guarded)] : []),
  ];
}

/** Paths with a file answer the file; every other page is the console's own (a single-page application). */
async function serveConsole(server: FastifyInstance, root: string): Promise<void> {
  await server.register(async (scope) => {
    scope.addHook('onRoute', (added) => {
      added.config = { ...added.config, permission: 'public' };
    });
    await scope.register(staticPlugin, {
      root,
      wildcard: false,
      index: false,
      setHeaders: (reply, path) => {
        // Vite names assets by their content: they never change under a name.
        const immutable = path.replaceAll('\\', '/').includes('/assets/');
        reply.header('cache-control', immutable ? 'public, max-age=31536000, immutable' : 'no-cache');
        // By whichever address a page comes: `/index.html` is a route of its own.
        if (path.endsWith('.html')) reply.header('content-security-policy', PAGE_POLICY);
      },
    });
    scope.get('/*', { config: { permission: 'public' }, schema: { hide: true } }, (request, reply) => {
      // Whoever asks for the first page gets it, whatever they accept (curl and probes say `*/*`, as a script's request for a file that is not there does).
      const isPage = request.url.split('?')[0] === '/' || request.headers.accept?.includes('text/html');
      if (/^\/(api|v1|v2)\//.test(request.url) || !isPage) throw noRoute(request);
      return reply.sendFile('index.html');
    });
  });
}

/** What is in an address is text and becomes what its schema says; JSON says itself what it is: null is no 0, and "5" no number. */
function keepBodies(server: FastifyInstance): void {
  const options = {
    removeAdditional: false,
    useDefaults: true,
    allErrors: true,
    verbose: true, // a fault knows its schema: what is known there is told
    strict: false,
  } as const;
  const [ofBodies, ofText] = [
    addFormats(new Ajv(options)),
    addFormats(new Ajv({ ...options, coerceTypes: true })),
  ].map(onlyInstants) as [Ajv, Ajv];
  server.setValidatorCompiler(({ schema, httpPart }) =>
    httpPart === 'body'
      ? ofBodies.compile(schema as object)
      : onlyDecimals(ofText.compile(schema as object), schema as JsonObject),
  );
}
