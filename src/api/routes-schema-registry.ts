import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Access } from '../access/access.ts';
import type { ContractRegistry } from '../contracts/registry.ts';
import type { Limits } from '../kernel/limits.ts';
import { readJsonBodies } from './json-bodies.ts';
import { route } from './routes.ts';
import type { ApplyProject } from './routes-definitions.ts';
import { type ConfigDependencies, registryConfigRoutes } from './routes-schema-registry-config.ts';
import { registryModeRoutes } from './routes-schema-registry-modes.ts';
import { RegistryDeleter, type RegistryDeleterDependencies } from './schema-registry-deleting.ts';
import { registryError } from './schema-registry-errors.ts';
import {
  Deleted,
  isSet,
  root,
  SchemaBody,
  SubjectParams,
  VersionParams,
  whichOf,
} from './schema-registry-shapes.ts';
import { RegistrySubjects, schemaOf, versionToJson } from './schema-registry-subjects.ts';
import { RegistryWriter } from './schema-registry-writing.ts';

interface Dependencies extends Omit<ConfigDependencies, 'subjects' | 'writer'>, RegistryDeleterDependencies {
  contractRegistry: ContractRegistry;
  access: Pick<Access, 'can'>;
  apply: ApplyProject;
  limits: Limits;
}

interface Parts {
  readonly subjects: RegistrySubjects;
  readonly writer: RegistryWriter;
  readonly deleter: RegistryDeleter;
}

const IdParams = Type.Object({ id: Type.String({ description: 'A positive integer' }) });
const tag = 'schema registry';

/**
 * Confluent's Schema Registry over contracts, for its clients: schemas of type AVRO and JSON, versions by number, ids that never change. What is registered
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
      const deleter = new RegistryDeleter(subjects, dependencies);
      const writer = new RegistryWriter(subjects, { contractRegistry, access: { can }, apply, deleter });
      const parts = { subjects, writer, deleter };
      subjectRoutes(scope, parts);
      versionRoutes(scope, parts);
      deletionRoutes(scope, parts);
      schemaRoutes(scope, subjects);
      registryConfigRoutes(scope, { ...dependencies, subjects, writer });
      registryModeRoutes(scope, { ...dependencies, subjects });
    });
  };
}

function subjectRoutes(server: FastifyInstance, { subjects }: Parts): void {
  route(server, {
    method: 'GET',
    url: `${root}/subjects`,
    permission: 'definitions.read',
    summary: 'Subjects: the event types',
    tag,
    query: Type.Object({ ...Deleted.properties, subjectPrefix: Type.Optional(Type.String()) }),
    handle: async ({ query }) => {
      const prefix = (query.subjectPrefix ?? '').replace(/^:\*?:/, ''); // of all contexts, or of the one that there is
      return (await subjects.list(whichOf(query))).filter((name) => name.startsWith(prefix));
    },
  });
  route(server, {
    method: 'POST',
    url: `${root}/subjects/:subject`,
    permission: 'definitions.read',
    summary: 'The version of a subject that has a given schema',
    tag,
    params: SubjectParams,
    query: Deleted,
    body: SchemaBody,
    handle: async ({ params: { subject }, query, body }) =>
      versionToJson(await subjects.lookUp(subject, body, whichOf(query))),
  });
  route(server, {
    method: 'GET',
    url: `${root}/contexts`,
    permission: 'definitions.read',
    summary: 'The contexts of subjects: there is only one',
    tag,
    handle: () => ['.'],
  });
}

function versionRoutes(server: FastifyInstance, { subjects, writer }: Parts): void {
  const url = `${root}/subjects/:subject/versions`;
  route(server, {
    method: 'GET',
    url,
    permission: 'definitions.read',
    summary: 'The numbers of a subject’s versions',
    tag,
    params: SubjectParams,
    query: Deleted,
    handle: async ({ params: { subject }, query }) =>
      (await subjects.versions(subject, whichOf(query))).map(({ number }) => number),
  });
  route(server, {
    method: 'POST',
    url,
    permission: 'definitions.read',
    summary:
      'Register a schema and return its id; a new schema becomes a contract, or its next version, if the caller may change definitions',
    tag,
    params: SubjectParams,
    body: Type.Object({ ...SchemaBody.properties, ruleSet: Type.Optional(Type.Unknown()) }),
    handle: async ({ params: { subject }, body: { ruleSet, ...sent }, caller }) => {
      if ((ruleSet ?? null) !== null)
        throw registryError(
          'invalidSchema',
          'Rule sets are not supported: write them as quality rules of the contract.',
        );
      return versionToJson(await writer.register(subject, await subjects.read(sent), caller));
    },
  });
  route(server, {
    method: 'GET',
    url: `${url}/:version`,
    permission: 'definitions.read',
    summary: 'A version of a subject, by its number or `latest`',
    tag,
    params: VersionParams,
    query: Deleted,
    handle: async ({ params, query }) =>
      versionToJson(await subjects.version(params.subject, params.version, whichOf(query))),
  });
  route(server, {
    method: 'GET',
    url: `${url}/:version/schema`,
    permission: 'definitions.read',
    summary: 'The schema alone',
    tag,
    params: VersionParams,
    query: Deleted,
    handle: async ({ params, query }) =>
      schemaOf(await subjects.version(params.subject, params.version, whichOf(query))),
  });
  route(server, {
    method: 'GET',
    url: `${url}/:version/referencedby`,
    permission: 'definitions.read',
    summary: 'Ids of the schemas that were registered with a reference to a version, without deleted ones',
    tag,
    params: VersionParams,
    handle: async ({ params }) => {
      const referring = await subjects.referring(
        await subjects.version(params.subject, params.version, 'deleted'),
      );
      return referring.map(({ id }) => id).sort((a, b) => a - b);
    },
  });
}

function deletionRoutes(server: FastifyInstance, { deleter }: Parts): void {
  const query = Type.Object({
    permanent: Type.Optional(
      Type.String({ description: '`true`: for good, what was deleted softly before' }),
    ),
  });
  route(server, {
    method: 'DELETE',
    url: `${root}/subjects/:subject`,
    permission: 'definitions.write',
    summary:
      'Delete all versions of a subject in the registry, softly or permanently; refused for a contract in use',
    tag,
    params: SubjectParams,
    query,
    handle: ({ params: { subject }, query: { permanent }, caller }) =>
      deleter.subject(subject, isSet(permanent), caller),
  });
  route(server, {
    method: 'DELETE',
    url: `${root}/subjects/:subject/versions/:version`,
    permission: 'definitions.write',
    summary: 'Delete one version in the registry, softly or permanently; refused for the version in use',
    tag,
    params: VersionParams,
    query,
    handle: ({ params: { subject, version }, query: { permanent }, caller }) =>
      deleter.version(subject, version, isSet(permanent), caller),
  });
}

function schemaRoutes(server: FastifyInstance, subjects: RegistrySubjects): void {
  route(server, {
    method: 'GET',
    url: `${root}/schemas/types`,
    permission: 'definitions.read',
    summary: 'The types of schemas',
    tag,
    handle: () => ['JSON', 'AVRO'],
  });
  route(server, {
    method: 'GET',
    url: `${root}/schemas/ids/:id`,
    permission: 'definitions.read',
    summary: 'A schema by its id',
    tag,
    params: IdParams,
    handle: async ({ params: { id } }) => {
      const { subject: _, version: __, id: ___, ...schema } = versionToJson(await subjects.byId(id));
      return schema;
    },
  });
  route(server, {
    method: 'GET',
    url: `${root}/schemas/ids/:id/schema`,
    permission: 'definitions.read',
    summary: 'The schema alone, by its id',
    tag,
    params: IdParams,
    handle: async ({ params: { id } }) => schemaOf(await subjects.byId(id)),
  });
  route(server, {
    method: 'GET',
    url: `${root}/schemas/ids/:id/subjects`,
    permission: 'definitions.read',
    summary: 'The subject of an id',
    tag,
    params: IdParams,
    query: Deleted,
    handle: async ({ params: { id }, query }) =>
      (await subjects.ofId(id, whichOf(query))).map(({ subject }) => subject),
  });
  route(server, {
    method: 'GET',
    url: `${root}/schemas/ids/:id/versions`,
    permission: 'definitions.read',
    summary: 'The subject and the version of an id',
    tag,
    params: IdParams,
    query: Deleted,
    handle: async ({ params: { id }, query }) =>
      (await subjects.ofId(id, whichOf(query))).map(({ subject, number }) => ({ subject, version: number })),
  });
}
