import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AiosError, type Issue } from '../kernel/errors.ts';
import type { Impact } from '../ledger/lineage-graph/impact.ts';
import type { ProjectFile } from '../store/definition-kind.ts';
import type { Definition, Definitions } from '../store/definitions.ts';
import type { PlannedDefinition } from '../store/project.ts';
import { bytesOfBase64 } from './base64.ts';
import { type Caller, route } from './routes.ts';
import { AnyObject, iso, NameParams, pageOf } from './shapes.ts';

/** Plans a project and, unless it is a dry run, applies it. */
export type ApplyProject = (
  files: readonly ProjectFile[],
  caller: Caller,
  dryRun: boolean,
) => Promise<readonly PlannedDefinition[]>;

interface Dependencies {
  definitions: Definitions;
  apply: ApplyProject;
  /** What depends on what a plan changes. */
  impactOf(planned: readonly PlannedDefinition[]): Promise<readonly Impact[]>;
  /** What a plan may do and most likely should not. */
  warningsOf(planned: readonly PlannedDefinition[]): readonly Issue[];
  /** The collection of each kind: `contracts` holds `contract`. */
  collections: Readonly<Record<string, string>>;
}

const DefinitionShape = Type.Object({
  kind: Type.String(),
  name: Type.String(),
  version: Type.Integer(),
  digest: Type.String(),
  body: AnyObject,
  source: Type.String(),
  createdAt: Type.String({ format: 'date-time' }),
  createdBy: Type.String(),
});
const Change = Type.Object({
  kind: Type.String(),
  name: Type.String(),
  action: Type.Union([Type.Literal('create'), Type.Literal('update'), Type.Literal('unchanged')]),
  fromVersion: Type.Integer(),
  toVersion: Type.Integer(),
});
const Severity = Type.Enum(['breaks', 'changes-values', 'unaffected']);
const ImpactShape = Type.Object({
  kind: Type.String(),
  name: Type.String(),
  severity: Severity,
  changes: Type.Array(
    Type.Object({
      node: Type.String(),
      effect: Type.Enum(['removed', 'retyped', 'changed', 'added']),
      from: Type.Optional(Type.String()),
      to: Type.Optional(Type.String()),
    }),
  ),
  affected: Type.Array(
    Type.Object({
      node: Type.String(),
      severity: Severity,
      depth: Type.Integer(),
      through: Type.String(),
      writes: Type.Optional(Type.Boolean()),
    }),
  ),
  runsUnderWay: Type.Integer(),
  hint: Type.String(),
  truncated: Type.Boolean(),
});
const Warning = Type.Object({
  file: Type.Optional(Type.String()),
  line: Type.Optional(Type.Integer()),
  column: Type.Optional(Type.Integer()),
  path: Type.String({ description: 'JSON Pointer in the definition' }),
  message: Type.String(),
  meant: Type.Optional(Type.String({ description: 'The name that was probably meant' })),
});
const Files = Type.Object({
  files: Type.Array(
    Type.Object({
      path: Type.String({ minLength: 1 }),
      text: Type.Optional(Type.String()),
      base64: Type.Optional(Type.String()),
    }),
  ),
});
/** Folders of a project that are named otherwise than the collection. */
const FOLDERS: Readonly<Record<string, string>> = {
  'feature-views': 'features',
  'feature-services': 'services',
  'dataset-definitions': 'datasets',
  'model-definitions': 'models',
  'lineage-sinks': 'lineage',
};
/** Collections whose list tells more than the definitions, by a route of its own. */
const LISTED_ELSEWHERE: ReadonlySet<string> = new Set(['run-queues', 'bridges', 'lineage-sinks']);
/** And those of which one does. */
const SHOWN_ELSEWHERE: ReadonlySet<string> = new Set(['bridges']);
const tag = 'definitions';

/** Versioned definitions: read by kind, changed by applying a project or by putting one. */
export function definitionRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    applyRoute(server, dependencies);
    for (const [collection, kind] of Object.entries(dependencies.collections))
      collectionRoutes(server, dependencies, collection, kind);
  };
}

function applyRoute(server: FastifyInstance, { apply, impactOf, warningsOf }: Dependencies): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/apply',
    permission: 'definitions.write',
    summary: 'Apply a whole project, or with dryRun report what would change',
    tag,
    query: Type.Object({ dryRun: Type.Optional(Type.Boolean({ default: false })) }),
    body: Files,
    answer: Type.Object({
      changes: Type.Array(Change),
      applied: Type.Boolean(),
      warnings: Type.Array(Warning, {
        description:
          'Allowed, but probably a mistake: names that are neither in the project nor applied, misspelled keywords, fallbacks that do not accept the calls',
      }),
      impact: Type.Optional(Type.Array(ImpactShape)),
    }),
    handle: async ({ body, query, caller }) => {
      const files = body.files.map(({ path, text, base64 = '' }, i) => ({
        path,
        bytes: text === undefined ? bytesOfBase64(base64, `/files/${i}/base64`) : Buffer.from(text),
      }));
      const dryRun = query.dryRun ?? false;
      const planned = await apply(files, caller, dryRun);
      const changes = planned.map(({ kind, name, action, fromVersion, toVersion }) => ({
        kind,
        name,
        action,
        fromVersion,
        toVersion,
      }));
      const warnings = [...warningsOf(planned)];
      return dryRun
        ? { changes, applied: false, warnings, impact: [...(await impactOf(planned))] }
        : { changes, applied: true, warnings };
    },
  });
}

function collectionRoutes(
  server: FastifyInstance,
  { definitions, apply }: Dependencies,
  collection: string,
  kind: string,
): void {
  const url = `/api/v1/${collection}`;
  const find = (name: string) => {
    const definition = definitions.latest(kind, name);
    if (definition) return definition;
    throw new AiosError('definition.not_found', { detail: `There is no ${kind} “${name}”.` });
  };
  if (!LISTED_ELSEWHERE.has(collection))
    route(server, {
      method: 'GET',
      url,
      permission: 'definitions.read',
      summary: `The newest version of every ${kind}`,
      tag,
      answer: pageOf(DefinitionShape),
      handle: () => ({ items: definitions.list(kind).map(toJson), nextCursor: null }),
    });
  if (!SHOWN_ELSEWHERE.has(collection))
    route(server, {
      method: 'GET',
      url: `${url}/:name`,
      permission: 'definitions.read',
      summary: `The newest version of a ${kind}`,
      tag,
      params: NameParams,
      answer: DefinitionShape,
      handle: ({ params }) => toJson(find(params.name)),
    });
  route(server, {
    method: 'GET',
    url: `${url}/:name/versions`,
    permission: 'definitions.read',
    summary: `Every version of a ${kind}, newest first`,
    tag,
    params: NameParams,
    answer: pageOf(DefinitionShape),
    handle: async ({ params }) => ({
      items: (await definitions.versions(kind, find(params.name).name)).map(toJson),
      nextCursor: null,
    }),
  });
  route(server, {
    method: 'PUT',
    url: `${url}/:name`,
    permission: 'definitions.write',
    summary: `Create or update a ${kind}: a new version if its body differs`,
    tag,
    params: NameParams,
    body: AnyObject,
    answer: DefinitionShape,
    handle: async ({ params, body, caller }) => {
      const bytes = Buffer.from(JSON.stringify(body, null, 2));
      await apply(
        [{ path: `${FOLDERS[collection] ?? collection}/${params.name}.json`, bytes }],
        caller,
        false,
      );
      return toJson(find(params.name));
    },
  });
}

function toJson({ createdAt, ...definition }: Definition) {
  return { ...definition, createdAt: iso(createdAt) };
}
