import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Access } from '../access/access.ts';
import type { ContractRegistry } from '../contracts/registry.ts';
import type { Limits } from '../kernel/limits.ts';
import { readJsonBodies } from './json-bodies.ts';
import { route } from './routes.ts';
import type { ApplyProject } from './routes-definitions.ts';
import { type ConfigDependencies, registryConfigRoutes } from './routes-schema-registry-config.ts';
import { registryError } from './schema-registry-errors.ts';
import { root, SchemaBody, SubjectParams, VersionParams } from './schema-registry-shapes.ts';
import { RegistrySubjects, versionToJson } from './schema-registry-subjects.ts';
import { RegistryWriter } from './schema-registry-writing.ts';

interface Dependencies extends Omit<ConfigDependencies, 'subjects' | 'writer'> {
  contractRegistry: ContractRegistry;
  access: Pick<Access, 'can'>;
  apply: ApplyProject;
  limits: Limits;
}

interface Parts {
  readonly subjects: RegistrySubjects;
  readonly writer: RegistryWriter;
}

const IdParams = Type.Object({ id: Type.String({ description: 'A positive integer' }) });
const tag = 'schema registry';

/**
 * Confluent's Schema Registry over contracts, for its clients: schemas of type JSON, versions by number, ids that never change. What is registered
 * here is applied as a contract.
 */
export function schemaRegistryRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  const { contractRegistry, access, apply, limits } = dependencies;
  return (server) => {
    server.register(async (scope) => {
      readJsonBodies(
        scope,
        ['application/vnd.schemaregistry.v1+json', 'application/vnd.schemaregistry+json'],
        dependencies,
      );
      const subjects = new RegistrySubjects(contractRegistry, limits);
      const can = (caller: unknown, permission: string) =>
        access.can(caller as Parameters<Access['can']>[0], permission);
      const writer = new RegistryWriter(subjects, { contractRegistry, access: { can }, apply });
      subjectRoutes(scope, contractRegistry, { subjects, writer });
      versionRoutes(scope, { subjects, writer });
      schemaRoutes(scope, subjects);
      registryConfigRoutes(scope, { ...dependencies, subjects, writer });
    });
  };
}

function subjectRoutes(server: FastifyInstance, registry: ContractRegistry, { subjects }: Parts): void {
  route(server, {
    method: 'GET',
    url: `${root}/subjects`,
    permission: 'definitions.read',
    summary: 'Subjects: the event types',
    tag,
    query: Type.Object({ subjectPrefix: Type.Optional(Type.String()) }),
    handle: ({ query: { subjectPrefix = '' } }) => {
      const prefix = subjectPrefix.replace(/^:\*?:/, ''); // of all contexts, or of the one that there is
      return registry.list().flatMap(({ name }) => (name.startsWith(prefix) ? name : []));
    },
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
      const schema = subjects.read(body.schema);
      const found = await subjects.versionOf(subject, schema);
      if (found) return versionToJson(found);
      await subjects.versions(subject); // no such subject, or no such schema of it
      throw registryError('schemaNotFound', 'Schema not found');
    },
  });
}

function versionRoutes(server: FastifyInstance, { subjects, writer }: Parts): void {
  route(server, {
    method: 'GET',
    url: `${root}/subjects/:subject/versions`,
    permission: 'definitions.read',
    summary: 'The numbers of a subject’s versions',
    tag,
    params: SubjectParams,
    handle: async ({ params: { subject } }) => (await subjects.versions(subject)).map(({ number }) => number),
  });
  route(server, {
    method: 'POST',
    url: `${root}/subjects/:subject/versions`,
    permission: 'definitions.read',
    summary:
      'The id of a schema; one that is not there becomes a contract, or its next version, for callers who may change definitions',
    tag,
    params: SubjectParams,
    body: Type.Object({
      ...SchemaBody.properties,
      references: Type.Optional(Type.Array(Type.Unknown())),
      ruleSet: Type.Optional(Type.Unknown()),
    }),
    handle: async ({ params: { subject }, body: { schema, schemaType, references, ruleSet }, caller }) => {
      if (schemaType !== 'JSON')
        throw registryError(
          'invalidSchema',
          `Schemas of type ${(schemaType ?? 'AVRO').slice(0, 40)} are not kept here; send a JSON Schema with schemaType JSON.`,
        );
      if ((references?.length ?? 0) > 0 || (ruleSet ?? null) !== null)
        throw registryError(
          'invalidSchema',
          'References and rule sets are not kept here: send the schema whole, with what it refers to under $defs.',
        );
      return versionToJson(await writer.register(subject, subjects.read(schema), caller));
    },
  });
  route(server, {
    method: 'GET',
    url: `${root}/subjects/:subject/versions/:version`,
    permission: 'definitions.read',
    summary: 'A version of a subject, by its number or `latest`',
    tag,
    params: VersionParams,
    handle: async ({ params }) => versionToJson(await subjects.version(params.subject, params.version)),
  });
  route(server, {
    method: 'GET',
    url: `${root}/subjects/:subject/versions/:version/schema`,
    permission: 'definitions.read',
    summary: 'The schema alone',
    tag,
    params: VersionParams,
    handle: async ({ params }) =>
      (await subjects.version(params.subject, params.version)).version.body.schema,
  });
}

function schemaRoutes(server: FastifyInstance, subjects: RegistrySubjects): void {
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
      const { schema, schemaType } = versionToJson(await subjects.byId(id));
      return { schema, schemaType };
    },
  });
  route(server, {
    method: 'GET',
    url: `${root}/schemas/ids/:id/schema`,
    permission: 'definitions.read',
    summary: 'The schema alone, by its id',
    tag,
    params: IdParams,
    handle: async ({ params: { id } }) => (await subjects.byId(id)).version.body.schema,
  });
  route(server, {
    method: 'GET',
    url: `${root}/schemas/ids/:id/subjects`,
    permission: 'definitions.read',
    summary: 'The subject of an id',
    tag,
    params: IdParams,
    handle: async ({ params: { id } }) => [(await subjects.byId(id)).subject],
  });
  route(server, {
    method: 'GET',
    url: `${root}/schemas/ids/:id/versions`,
    permission: 'definitions.read',
    summary: 'The subject and the version of an id',
    tag,
    params: IdParams,
    handle: async ({ params: { id } }) => {
      const { subject, number } = await subjects.byId(id);
      return [{ subject, version: number }];
    },
  });
}
