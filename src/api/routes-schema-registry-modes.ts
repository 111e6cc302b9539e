import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { REGISTRY_MODES, type RegistryMode } from '../contracts/registry-modes.ts';
import type { DefaultCompatibilityPort } from './default-compatibility.ts';
import { untilFirst } from './overtaken.ts';
import { actorOf, type Caller, route } from './routes.ts';
import { registryError } from './schema-registry-errors.ts';
import { Flag, isSet, root, SubjectParams } from './schema-registry-shapes.ts';
import type { RegistrySubjects } from './schema-registry-subjects.ts';

export interface ModeDependencies extends Pick<DefaultCompatibilityPort, 'commit' | 'clock' | 'auditLog'> {
  subjects: RegistrySubjects;
}

const tag = 'schema registry';
const Mode = Type.Object({ mode: Type.String() });
/** Confluent's, which are not offered, and what to do instead. */
const OTHER_MODES: Readonly<Record<string, string>> = {
  READONLY_OVERRIDE: 'set READONLY, and take the modes of single subjects back',
  IMPORT: 'ids are given here',
};

/** Whether clients may change subjects: all of them, or one. */
export function registryModeRoutes(server: FastifyInstance, dependencies: ModeDependencies): void {
  modeOfAllRoutes(server, dependencies);
  modeOfSubjectRoutes(server, dependencies);
}

function modeOfAllRoutes(server: FastifyInstance, dependencies: ModeDependencies): void {
  const { subjects } = dependencies;
  route(server, {
    method: 'GET',
    url: `${root}/mode`,
    permission: 'definitions.read',
    summary: 'Whether subjects without a mode of their own can be changed (READWRITE) or not (READONLY)',
    tag,
    handle: async () => ({ mode: await subjects.modes.of('') }),
  });
  route(server, {
    method: 'PUT',
    url: `${root}/mode`,
    permission: 'definitions.write',
    summary: 'Set the mode of subjects without one of their own: READWRITE or READONLY',
    tag,
    body: Mode,
    handle: async ({ body, caller }) => {
      await change(dependencies, '', wantedOf(body), caller);
      return body;
    },
  });
}

function modeOfSubjectRoutes(server: FastifyInstance, dependencies: ModeDependencies): void {
  const { subjects } = dependencies;
  const url = `${root}/mode/:subject`;
  route(server, {
    method: 'GET',
    url,
    permission: 'definitions.read',
    summary: 'The mode of a subject, or error 40409 if it has none',
    tag,
    params: SubjectParams,
    query: Type.Object({ defaultToGlobal: Flag }),
    handle: async ({ params: { subject }, query: { defaultToGlobal } }) => {
      const name = subjects.contractOf(subject);
      const mode = isSet(defaultToGlobal) ? await subjects.modes.of(name) : await subjects.modes.own(name);
      return { mode: mode ?? notSet(subject) };
    },
  });
  route(server, {
    method: 'PUT',
    url,
    permission: 'definitions.write',
    summary: 'Set the mode of a subject: READWRITE or READONLY',
    tag,
    params: SubjectParams,
    body: Mode,
    handle: async ({ params: { subject }, body, caller }) => {
      await change(dependencies, subjects.contractOf(subject), wantedOf(body), caller);
      return body;
    },
  });
  route(server, {
    method: 'DELETE',
    url,
    permission: 'definitions.write',
    summary: 'Remove the mode of a subject; returns the mode that it had',
    tag,
    params: SubjectParams,
    handle: async ({ params: { subject }, caller }) => {
      const mode = await change(dependencies, subjects.contractOf(subject), undefined, caller);
      return { mode: mode ?? notSet(subject) };
    },
  });
}

function notSet(subject: string): never {
  throw registryError(
    'noSubjectLevelMode',
    `Subject '${subject}' does not have subject-level mode configured`,
  );
}

function wantedOf({ mode }: Static<typeof Mode>): RegistryMode {
  const wanted = REGISTRY_MODES.find((each) => each === mode);
  if (wanted) return wanted;
  if (Object.hasOwn(OTHER_MODES, mode))
    throw registryError('notPermitted', `The mode ${mode} is not offered: ${OTHER_MODES[mode]}.`);
  throw registryError('invalidMode', `Invalid mode. Valid values are ${REGISTRY_MODES.join(', ')}`);
}

/** @returns the mode before */
function change(
  { subjects: { modes }, commit, clock, auditLog }: ModeDependencies,
  subject: string,
  wanted: RegistryMode | undefined,
  caller: Caller,
): Promise<RegistryMode | undefined> {
  return untilFirst(async () => {
    const before = await modes.own(subject);
    if (before === wanted) return before;
    await commit.commit([
      modes.change({ subject, before, wanted }),
      auditLog.entry({
        kind: 'contract',
        action: 'registry-mode-changed',
        actor: actorOf(caller),
        object: subject === '' ? 'contracts' : `contract:${subject}`,
        at: clock.now(),
        payload: { before: before ?? null, mode: wanted ?? null },
      }),
    ]);
    return before;
  });
}
