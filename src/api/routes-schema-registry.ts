import { hash } from 'node:crypto';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { MODES } from '../contracts/compatibility.ts';
import type { ContractRegistry, ContractVersion } from '../contracts/registry.ts';
import { canonicalize } from '../kernel/canonical.ts';
import { AiosError, toAiosError } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { type DefaultCompatibilityPort, setDefaultCompatibility } from './default-compatibility.ts';
import { route } from './routes.ts';

interface Dependencies extends DefaultCompatibilityPort {
  contractRegistry: ContractRegistry;
}

/** A version as Confluent numbers it: from 1, in the order of coming. */
interface Numbered {
  subject: string;
  number: number;
  id: number;
  version: ContractVersion;
}

const SubjectParams = Type.Object({ subject: Type.String({ minLength: 1 }) });
const VersionParams = Type.Object({
  subject: Type.String({ minLength: 1 }),
  version: Type.String({ pattern: '^(latest|-1|[1-9]\\d*)$' }),
});
const IdParams = Type.Object({ id: Type.Integer({ minimum: 1 }) });
const SchemaBody = Type.Object({
  schema: Type.String(),
  schemaType: Type.Optional(Type.String()),
});
const tag = 'schema registry';
const root = '/schema-registry';
/** Confluent's code for a mode that there is not. */
const INVALID_COMPATIBILITY = 42203;
/** Confluent's codes, by ours. */
const ERROR_CODES: Readonly<Record<string, number>> = {
  'definition.not_found': 40401,
  'contracts.unknown_version': 40402,
  'request.not_found': 40403,
  'definition.invalid': 42201,
};

/**
 * The reading routes of Confluent's Schema Registry over contracts, for its clients: schemas of type JSON, versions by number, ids that never change.
 * Contracts are changed by applying a project; the mode of those that name none is changed here, too.
 */
export function schemaRegistryRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    server.register(async (scope) => {
      const media = ['application/vnd.schemaregistry.v1+json', 'application/vnd.schemaregistry+json'];
      scope.addContentTypeParser(media, { parseAs: 'string' }, scope.getDefaultJsonParser('error', 'error'));
      scope.setErrorHandler((error: Error, _request, reply) => answerError(reply, toAiosError(error)));
      subjectRoutes(scope, dependencies);
      schemaRoutes(scope, dependencies);
      configRoutes(scope, dependencies);
    });
  };
}

function subjectRoutes(server: FastifyInstance, { contractRegistry: registry }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: `${root}/subjects`,
    permission: 'definitions.read',
    summary: 'Subjects: the event types',
    tag,
    handle: () => registry.list().map(({ name }) => name),
  });
  route(server, {
    method: 'GET',
    url: `${root}/subjects/:subject/versions`,
    permission: 'definitions.read',
    summary: 'The numbers of a subject’s versions',
    tag,
    params: SubjectParams,
    handle: async ({ params: { subject } }) =>
      (await numbered(registry, subject)).map(({ number }) => number),
  });
  route(server, {
    method: 'GET',
    url: `${root}/subjects/:subject/versions/:version`,
    permission: 'definitions.read',
    summary: 'A version of a subject, by its number or `latest`',
    tag,
    params: VersionParams,
    handle: async ({ params }) => toJson(await find(registry, params.subject, params.version)),
  });
  route(server, {
    method: 'GET',
    url: `${root}/subjects/:subject/versions/:version/schema`,
    permission: 'definitions.read',
    summary: 'The schema alone',
    tag,
    params: VersionParams,
    handle: async ({ params }) => (await find(registry, params.subject, params.version)).version.body.schema,
  });
  route(server, {
    method: 'POST',
    url: `${root}/subjects/:subject`,
    permission: 'definitions.read',
    summary: 'Which version a schema is',
    tag,
    params: SubjectParams,
    body: SchemaBody,
    handle: async ({ params: { subject }, body }) => {
      const wanted = canonicalize(parse(body.schema));
      const versions = await numbered(registry, subject);
      const found = versions.findLast(({ version }) => canonicalize(version.body.schema) === wanted);
      if (found) return toJson(found);
      throw new AiosError('request.not_found', { detail: 'Schema not found' });
    },
  });
}

function schemaRoutes(server: FastifyInstance, { contractRegistry: registry }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: `${root}/schemas/types`,
    permission: 'definitions.read',
    summary: 'The types of schemas',
    tag,
    handle: () => ['JSON'],
  });
  route(server, {
    method: 'GET',
    url: `${root}/schemas/ids/:id`,
    permission: 'definitions.read',
    summary: 'A schema by its id',
    tag,
    params: IdParams,
    handle: async ({ params: { id } }) => {
      const { schema, schemaType } = toJson(await byId(registry, id));
      return { schema, schemaType };
    },
  });
  route(server, {
    method: 'GET',
    url: `${root}/schemas/ids/:id/versions`,
    permission: 'definitions.read',
    summary: 'The subject and the version of an id',
    tag,
    params: IdParams,
    handle: async ({ params: { id } }) => {
      const { subject, number } = await byId(registry, id);
      return [{ subject, version: number }];
    },
  });
}

function configRoutes(server: FastifyInstance, dependencies: Dependencies): void {
  const { contractRegistry: registry } = dependencies;
  route(server, {
    method: 'POST',
    url: `${root}/compatibility/subjects/:subject/versions/:version`,
    permission: 'definitions.read',
    summary: 'Whether a schema is compatible with a version, in the mode of the subject',
    tag,
    params: VersionParams,
    query: Type.Object({ verbose: Type.Optional(Type.Boolean()) }),
    body: SchemaBody,
    handle: async ({ params, query: { verbose }, body }) => {
      const { subject, version } = await find(registry, params.subject, params.version);
      const { isCompatible, findings } = await registry.assess(
        subject,
        { schema: parse(body.schema) },
        version.version,
      );
      const messages = findings.map(({ path, code, message }) => `${path || '/'}: ${message} (${code})`);
      return { is_compatible: isCompatible, ...(verbose ? { messages } : {}) };
    },
  });
  route(server, {
    method: 'GET',
    url: `${root}/config`,
    permission: 'definitions.read',
    summary: 'The mode of contracts that name none',
    tag,
    handle: async () => ({ compatibilityLevel: await registry.defaultCompatibility.mode() }),
  });
  route(server, {
    method: 'PUT',
    url: `${root}/config`,
    permission: 'definitions.write',
    summary: 'Change the mode of contracts that name none',
    tag,
    body: Type.Object({ compatibility: Type.String() }),
    handle: async ({ body, caller, reply }) => {
      const compatibility = MODES.find((mode) => mode === body.compatibility);
      if (!compatibility)
        return reply.code(422).send({
          error_code: INVALID_COMPATIBILITY,
          message: `Invalid compatibility level. Valid values are ${MODES.join(', ')}`,
        });
      await setDefaultCompatibility(dependencies, compatibility, caller);
      return { compatibility };
    },
  });
  route(server, {
    method: 'GET',
    url: `${root}/config/:subject`,
    permission: 'definitions.read',
    summary: 'The mode of a contract',
    tag,
    params: SubjectParams,
    handle: async ({ params: { subject } }) => {
      const newest = await find(registry, subject, 'latest');
      return { compatibilityLevel: newest.version.compatibility };
    },
  });
  route(server, {
    method: 'GET',
    url: `${root}/mode`,
    permission: 'definitions.read',
    summary: 'That no schema is written here',
    tag,
    handle: () => ({ mode: 'READONLY' }),
  });
}

async function numbered(registry: ContractRegistry, wanted: string): Promise<Numbered[]> {
  const names = registry.list().map(({ name }) => name);
  const subject = names.includes(wanted) ? wanted : wanted.replace(/-value$/, '');
  const versions = (await registry.versions(subject)).reverse();
  return versions.map((version, index) => ({
    subject,
    number: index + 1,
    id: idOf(subject, version.version),
    version,
  }));
}

async function find(registry: ContractRegistry, subject: string, wanted: string): Promise<Numbered> {
  const versions = await numbered(registry, subject);
  const found = wanted === 'latest' || wanted === '-1' ? versions.at(-1) : versions[Number(wanted) - 1];
  if (found) return found;
  throw new AiosError('contracts.unknown_version', { detail: `Version ${wanted} not found.` });
}

async function byId(registry: ContractRegistry, wanted: number): Promise<Numbered> {
  for (const { name } of registry.list()) {
    const found = (await numbered(registry, name)).find(({ id }) => id === wanted);
    if (found) return found;
  }
  throw new AiosError('request.not_found', { detail: `Schema ${wanted} not found` });
}

/** 31 bits over subject and version: the same in every installation, so that what a serializer wrote is read after a move. */
function idOf(subject: string, version: string): number {
  return Number.parseInt(hash('sha256', `${subject}\0${version}`, 'hex').slice(0, 8), 16) & 0x7fffffff || 1;
}

function toJson({ subject, number, id, version }: Numbered) {
  return { subject, version: number, id, schemaType: 'JSON', schema: JSON.stringify(version.body.schema) };
}

function parse(text: string): JsonObject {
  let schema: Json | undefined;
  try {
    schema = JSON.parse(text) as Json;
  } catch {
    schema = undefined;
  }
  if (isObject(schema)) return schema;
  throw new AiosError('definition.invalid', { detail: 'The schema is no JSON object.' });
}

function answerError(reply: FastifyReply, error: AiosError): FastifyReply {
  const code = ERROR_CODES[error.code] ?? error.status;
  const status = code > 1000 ? Math.floor(code / 100) : code;
  return reply.code(status).send({ error_code: code, message: error.message });
}
