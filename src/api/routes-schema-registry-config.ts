import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { type CompatibilityMode, MODES } from '../contracts/compatibility.ts';
import { BUILT_IN } from '../contracts/default-compatibility.ts';
import type { ContractRegistry } from '../contracts/registry.ts';
import { type DefaultCompatibilityPort, setDefaultCompatibility } from './default-compatibility.ts';
import { route } from './routes.ts';
import { registryError } from './schema-registry-errors.ts';
import {
  Flag,
  isSet,
  root,
  SchemaBody,
  type SentSchema,
  SubjectParams,
  VersionParams,
} from './schema-registry-shapes.ts';
import type { RegistrySubjects } from './schema-registry-subjects.ts';
import type { RegistryWriter } from './schema-registry-writing.ts';

export interface ConfigDependencies extends DefaultCompatibilityPort {
  contractRegistry: ContractRegistry;
  subjects: RegistrySubjects;
  writer: RegistryWriter;
}

const tag = 'schema registry';
const Verbose = Type.Object({ verbose: Flag });
const Level = Type.Object({ compatibility: Type.String() });

/** Whether schemas are compatible, and what they are held to: of all contracts, and of one. */
export function registryConfigRoutes(server: FastifyInstance, dependencies: ConfigDependencies): void {
  compatibilityRoutes(server, dependencies);
  defaultRoutes(server, dependencies);
  subjectConfigRoutes(server, dependencies);
}

function compatibilityRoutes(
  server: FastifyInstance,
  { contractRegistry: registry, subjects }: ConfigDependencies,
): void {
  const assessed = async (
    subject: string,
    sent: SentSchema,
    verbose: string | undefined,
    against?: string,
  ) => {
    const schema = await subjects.read(sent);
    const { isCompatible, findings } = await registry.assess(subject, schema, against);
    const messages = findings.map(({ path, code, message }) => `${path || '/'}: ${message} (${code})`);
    return { is_compatible: isCompatible, ...(isSet(verbose) ? { messages } : {}) };
  };
  route(server, {
    method: 'POST',
    url: `${root}/compatibility/subjects/:subject/versions/:version`,
    permission: 'definitions.read',
    summary: 'Whether a schema is compatible with a version, in the mode of the subject',
    tag,
    params: VersionParams,
    query: Verbose,
    body: SchemaBody,
    handle: async ({ params, query: { verbose }, body }) => {
      const { subject, version } = await subjects.version(params.subject, params.version);
      return assessed(subject, body, verbose, version.version);
    },
  });
  route(server, {
    method: 'POST',
    url: `${root}/compatibility/subjects/:subject/versions`,
    permission: 'definitions.read',
    summary:
      'Whether a schema could be the next version of a subject: compared with the versions that its mode requires',
    tag,
    params: SubjectParams,
    query: Verbose,
    body: SchemaBody,
    handle: async ({ params, query: { verbose }, body }) => {
      if (subjects.newest(params.subject))
        return assessed(subjects.contractOf(params.subject), body, verbose);
      await subjects.read(body);
      return { is_compatible: true, ...(isSet(verbose) ? { messages: [] } : {}) }; // the first of a subject breaks nobody
    },
  });
}

function defaultRoutes(server: FastifyInstance, dependencies: ConfigDependencies): void {
  const { contractRegistry: registry, subjects } = dependencies;
  route(server, {
    method: 'GET',
    url: `${root}/config`,
    permission: 'definitions.read',
    summary: 'The compatibility mode of contracts that set none',
    tag,
    handle: async () => ({ compatibilityLevel: await registry.defaultCompatibility.mode() }),
  });
  route(server, {
    method: 'PUT',
    url: `${root}/config`,
    permission: 'definitions.write',
    summary: 'Change the compatibility mode of contracts that set none',
    tag,
    body: Level,
    handle: async ({ body, caller }) => {
      const compatibility = modeOf(body.compatibility);
      await subjects.requireWritable('');
      await setDefaultCompatibility(dependencies, compatibility, caller);
      return { compatibility };
    },
  });
  route(server, {
    method: 'DELETE',
    url: `${root}/config`,
    permission: 'definitions.write',
    summary: 'Reset the compatibility mode of contracts that set none to BACKWARD; returns the previous mode',
    tag,
    handle: async ({ caller }) => {
      await subjects.requireWritable('');
      return { compatibilityLevel: await setDefaultCompatibility(dependencies, BUILT_IN, caller) };
    },
  });
}

function subjectConfigRoutes(server: FastifyInstance, { subjects, writer }: ConfigDependencies): void {
  const url = `${root}/config/:subject`;
  route(server, {
    method: 'GET',
    url,
    permission: 'definitions.read',
    summary:
      'The compatibility mode of a contract, or error 40408 if it sets none; with `defaultToGlobal` the global mode instead of the error',
    tag,
    params: SubjectParams,
    query: Type.Object({ defaultToGlobal: Flag }),
    handle: async ({ params: { subject }, query: { defaultToGlobal } }) => {
      const { version } = await subjects.inForce(subject);
      if (!isSet(defaultToGlobal)) requireOwn(subject, version.body.compatibility);
      return { compatibilityLevel: version.compatibility };
    },
  });
  route(server, {
    method: 'PUT',
    url,
    permission: 'definitions.write',
    summary: 'Set the mode of a contract',
    tag,
    params: SubjectParams,
    body: Level,
    handle: async ({ params: { subject }, body, caller }) => {
      const compatibility = modeOf(body.compatibility);
      await writer.setCompatibility(subject, compatibility, caller);
      return { compatibility };
    },
  });
  route(server, {
    method: 'DELETE',
    url,
    permission: 'definitions.write',
    summary: 'Remove the mode of a contract, so that the global one applies; returns the mode that it had',
    tag,
    params: SubjectParams,
    handle: async ({ params: { subject }, caller }) => {
      const { body } = (await subjects.inForce(subject)).version;
      const compatibilityLevel = requireOwn(subject, body.compatibility);
      await writer.setCompatibility(subject, undefined, caller);
      return { compatibilityLevel };
    },
  });
}

function requireOwn(subject: string, mode: CompatibilityMode | undefined): CompatibilityMode {
  if (mode) return mode;
  throw registryError(
    'noSubjectLevelCompatibility',
    `Subject '${subject}' does not have subject-level compatibility configured`,
  );
}

function modeOf(text: string): CompatibilityMode {
  const mode = MODES.find((each) => each === text);
  if (mode) return mode;
  throw registryError(
    'invalidCompatibility',
    `Invalid compatibility level. Valid values are ${MODES.join(', ')}`,
  );
}
