import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { stringify } from 'yaml';
import { asyncApiDocument } from '../contracts/asyncapi.ts';
import { CONTENT_MODELS, MODES } from '../contracts/compatibility.ts';
import type { ContractBody } from '../contracts/contract-body.ts';
import type { ContractRegistry, ContractVersion } from '../contracts/registry.ts';
import type { Bridges } from '../events/bridges/running/bridges.ts';
import type { Webhooks } from '../events/webhooks/webhooks.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { type DefaultCompatibilityPort, setDefaultCompatibility } from './default-compatibility.ts';
import { untilFirst } from './overtaken.ts';
import { actorOf, type Caller, route } from './routes.ts';
import { AnyObject, iso, isoOrUndefined, NameParams, pageOf } from './shapes.ts';

interface Dependencies extends DefaultCompatibilityPort {
  contractRegistry: ContractRegistry;
  bridges?: Pick<Bridges, 'channels'>;
  webhooks?: Pick<Webhooks, 'channels'>;
  version?: string;
  /** Where people reach the API, when a proxy stands before it. */
  publicOrigin?: string | undefined;
}

const Mode = Type.Union(MODES.map((mode) => Type.Literal(mode)));
const DefaultMode = Type.Object({ compatibility: Mode }, { additionalProperties: false });
const ContentModel = Type.Union(CONTENT_MODELS.map((model) => Type.Literal(model)));
const VersionParams = Type.Object({
  name: Type.String({ minLength: 1 }),
  version: Type.String({ minLength: 1, description: 'A semantic version, or `latest`' }),
});
const DeprecationShape = Type.Object({
  deprecatedAt: Type.String({ format: 'date-time' }),
  sunsetAt: Type.Optional(Type.String({ format: 'date-time' })),
  message: Type.String(),
});
const VersionShape = Type.Object({
  contract: Type.String(),
  version: Type.String(),
  createdAt: Type.String({ format: 'date-time' }),
  createdBy: Type.String(),
  compatibility: Mode,
  deprecation: Type.Optional(DeprecationShape),
  body: AnyObject,
});
const FindingShape = Type.Object({
  code: Type.String({ description: 'Stable; the names of Confluent’s registry where it has one' }),
  direction: Type.Union([Type.Literal('backward'), Type.Literal('forward')]),
  path: Type.String({ description: 'JSON Pointer in the version that refuses the data' }),
  otherPath: Type.String({ description: 'JSON Pointer in the version whose data is refused' }),
  message: Type.String(),
  hint: Type.String(),
  isCertain: Type.Boolean({ description: 'False: not shown to be compatible, which counts as incompatible' }),
  version: Type.Optional(Type.String({ description: 'The version that it was compared with' })),
});
const AssessmentShape = Type.Object({
  mode: Mode,
  contentModel: ContentModel,
  checkedAgainst: Type.Array(Type.String()),
  isCompatible: Type.Boolean(),
  findings: Type.Array(FindingShape),
  change: Type.Union(['none', 'patch', 'minor', 'major'].map((change) => Type.Literal(change))),
  suggestedVersion: Type.String(),
});
const tag = 'contracts';

/** The registry of contracts: versions, compatibility, differences, deprecation, and who uses a type. */
export function contractRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    readRoutes(server, dependencies);
    compatibilityRoutes(server, dependencies);
    deprecationRoutes(server, dependencies);
    defaultRoutes(server, dependencies);
    asyncApiRoutes(server, dependencies);
  };
}

function readRoutes(server: FastifyInstance, dependencies: Dependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/contracts/:name/releases',
    permission: 'definitions.read',
    summary: 'The semantic versions of a contract, newest first, with their deprecation',
    tag,
    params: NameParams,
    answer: pageOf(VersionShape),
    handle: async ({ params: { name } }) => ({
      items: (await dependencies.contractRegistry.versions(name)).map(toJson),
      nextCursor: null,
    }),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/contracts/:name/releases/:version',
    permission: 'definitions.read',
    summary: 'A version of a contract, or `latest`',
    tag,
    params: VersionParams,
    answer: VersionShape,
    handle: async ({ params: { name, version } }) =>
      toJson(await dependencies.contractRegistry.version(name, version)),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/contracts/:name/uses',
    permission: 'definitions.read',
    summary: 'The definitions that use the event type, and where',
    tag,
    params: NameParams,
    answer: pageOf(
      Type.Object({
        kind: Type.String(),
        name: Type.String(),
        version: Type.Integer(),
        roles: Type.Array(Type.Union([Type.Literal('producer'), Type.Literal('consumer')])),
        paths: Type.Array(Type.String()),
      }),
    ),
    handle: ({ params: { name } }) => ({ items: dependencies.contractRegistry.uses(name), nextCursor: null }),
  });
}

/** Events of runs and steps, for the flows that ask for them. */
const SYSTEM_EVENTS = [
  ...['started', 'suspended', 'resumed', 'cancelled', 'faulted', 'completed'].flatMap((change) => [
    { type: `io.serverlessworkflow.workflow.${change}.v1`, summary: `A run was ${change}` },
    { type: `io.serverlessworkflow.task.${change}.v1`, summary: `A step was ${change}` },
  ]),
  ...['correlation-started', 'correlation-completed', 'status-changed'].map((change) => ({
    type: `io.serverlessworkflow.workflow.${change}.v1`,
    summary: `Of a run: ${change.replace('-', ' ')}`,
  })),
  ...['created', 'retried', 'status-changed'].map((change) => ({
    type: `io.serverlessworkflow.task.${change}.v1`,
    summary: `Of a step: ${change.replace('-', ' ')}`,
  })),
];

function asyncApiRoutes(server: FastifyInstance, dependencies: Dependencies): void {
  const document = async (request: FastifyRequest): Promise<JsonObject> => {
    const { contractRegistry: registry, bridges, webhooks, publicOrigin, version = '0.1.0' } = dependencies;
    const contracts = registry.list().map(async ({ name }) => {
      const { body, deprecation } = await registry.version(name, 'latest');
      return { body, deprecation, uses: registry.uses(name) };
    });
    return asyncApiDocument({
      origin: publicOrigin ?? `${request.protocol}://${request.host}`,
      version,
      contracts: await Promise.all(contracts),
      systemEvents: SYSTEM_EVENTS,
      others: [...(bridges?.channels() ?? []), ...((await webhooks?.channels()) ?? [])],
    });
  };
  route(server, {
    method: 'GET',
    url: '/api/v1/asyncapi.json',
    permission: 'definitions.read',
    summary: 'The events that the system receives and sends, as an AsyncAPI 3.0 document',
    tag,
    answer: AnyObject,
    handle: ({ request }) => document(request),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/asyncapi.yaml',
    permission: 'definitions.read',
    summary: 'The same as YAML',
    tag,
    handle: async ({ request, reply }) => {
      const text = stringify(await document(request), { aliasDuplicateObjects: false });
      return reply.type('application/yaml; charset=utf-8').serializer(String).send(text);
    },
  });
}

function compatibilityRoutes(server: FastifyInstance, dependencies: Dependencies): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/contracts/:name/compatibility',
    permission: 'definitions.read',
    summary: 'Check a changed schema: returns findings and a suggested version; nothing is changed',
    tag,
    params: NameParams,
    body: Type.Object(
      {
        schema: Type.Optional(AnyObject),
        avro: Type.Optional(Type.Unknown({ description: 'An Avro schema as JSON, in place of `schema`' })),
        compatibility: Type.Optional(Mode),
        contentModel: Type.Optional(ContentModel),
        against: Type.Optional(
          Type.String({
            description: 'Compare with this version instead of those of the compatibility mode',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    answer: AssessmentShape,
    handle: ({ params: { name }, body: { against, ...change } }) => {
      if (change.schema === undefined && change.avro === undefined)
        throw new AiosError('request.invalid', {
          issues: [{ path: '/schema', message: 'schema is required, or avro' }],
        });
      return dependencies.contractRegistry.assess(name, change as Partial<ContractBody>, against);
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/contracts/:name/diff',
    permission: 'definitions.read',
    summary: 'How two versions differ, and which data of one the other would refuse',
    tag,
    params: NameParams,
    query: Type.Object({ from: Type.String(), to: Type.String({ default: 'latest' }) }),
    answer: Type.Object({
      from: Type.String(),
      to: Type.String(),
      changes: Type.Array(
        Type.Object({
          path: Type.String(),
          before: Type.Optional(Type.Unknown()),
          after: Type.Optional(Type.Unknown()),
        }),
      ),
      findings: Type.Array(FindingShape),
    }),
    handle: ({ params: { name }, query: { from, to } }) => dependencies.contractRegistry.diff(name, from, to),
  });
}

function defaultRoutes(server: FastifyInstance, dependencies: Dependencies): void {
  const url = '/api/v1/contract-settings/compatibility';
  route(server, {
    method: 'GET',
    url,
    permission: 'definitions.read',
    summary: 'The compatibility mode of contracts that set none',
    tag,
    answer: DefaultMode,
    handle: async () => ({ compatibility: await dependencies.contractRegistry.defaultCompatibility.mode() }),
  });
  route(server, {
    method: 'PUT',
    url,
    permission: 'definitions.write',
    summary: 'Change the compatibility mode of contracts that set none, for future versions',
    tag,
    body: DefaultMode,
    answer: DefaultMode,
    handle: async ({ body: { compatibility }, caller }) => {
      await setDefaultCompatibility(dependencies, compatibility, caller);
      return { compatibility };
    },
  });
}

function deprecationRoutes(server: FastifyInstance, dependencies: Dependencies): void {
  const url = '/api/v1/contracts/:name/releases/:version/deprecation';
  route(server, {
    method: 'PUT',
    url,
    permission: 'definitions.write',
    summary: 'Deprecate a version: it stays usable, and its users are told until when',
    tag,
    params: VersionParams,
    body: Type.Object(
      {
        message: Type.String({ minLength: 1 }),
        sunsetAt: Type.Optional(Type.String({ format: 'date-time' })),
      },
      { additionalProperties: false },
    ),
    answer: VersionShape,
    handle: ({ params, body, caller }) =>
      untilFirst(() => changeDeprecation(dependencies, params, body, caller)),
  });
  route(server, {
    method: 'DELETE',
    url,
    permission: 'definitions.write',
    summary: 'Undo a deprecation',
    tag,
    params: VersionParams,
    answer: VersionShape,
    handle: ({ params, caller }) =>
      untilFirst(() => changeDeprecation(dependencies, params, undefined, caller)),
  });
}

async function changeDeprecation(
  { contractRegistry, commit, clock, auditLog }: Dependencies,
  params: { name: string; version: string },
  wanted: { message: string; sunsetAt?: string } | undefined,
  caller: Caller,
) {
  const { name } = params;
  const { version, deprecation } = await contractRegistry.version(name, params.version);
  const sunsetAt = wanted?.sunsetAt === undefined ? null : Date.parse(wanted.sunsetAt);
  const isSame = wanted
    ? deprecation?.message === wanted.message && deprecation.sunsetAt === sunsetAt
    : deprecation === undefined;
  if (!isSame) {
    const at = clock.now();
    await commit.commit([
      contractRegistry.deprecation(
        name,
        version,
        deprecation,
        wanted && { deprecatedAt: deprecation?.deprecatedAt ?? at, sunsetAt, message: wanted.message },
      ),
      auditLog.entry({
        kind: 'contract',
        action: wanted ? 'deprecated' : 'undeprecated',
        actor: actorOf(caller),
        object: `contract:${name}`,
        at,
        payload: { name, version, ...wanted },
      }),
    ]);
  }
  return toJson(await contractRegistry.version(name, version));
}

function toJson({ version, definition, body, compatibility, deprecation }: ContractVersion) {
  return {
    contract: definition.name,
    version,
    createdAt: iso(definition.createdAt),
    createdBy: definition.createdBy,
    compatibility,
    deprecation: deprecation && {
      deprecatedAt: iso(deprecation.deprecatedAt),
      sunsetAt: isoOrUndefined(deprecation.sunsetAt),
      message: deprecation.message,
    },
    body,
  };
}
