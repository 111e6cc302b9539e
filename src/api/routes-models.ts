import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Access } from '../access/access.ts';
import type { Decisions } from '../decisions/decisions.ts';
import type { Issue } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { ModelVersion } from '../models/model-version.ts';
import type { Model, Models } from '../models/models.ts';
import type { DeclaredSignature } from '../models/signature.ts';
import type { Serving } from '../serving/traffic/serving.ts';
import { bytesOfBase64 } from './base64.ts';
import { actorOf, route } from './routes.ts';
import { principalOf } from './routes-access.ts';
import { misfitToJson } from './routes-promotions.ts';
import { requireSecrets } from './secret-endpoints.ts';
import { AnyObject, iso, NameParams, pageOf, VersionNumber } from './shapes.ts';

interface Dependencies {
  access: Pick<Access, 'can'>;
  models: Models;
  serving: Serving;
  decisions: Decisions;
  /** What of the fallback chains around a model does not fit. */
  fallbackWarningsOf(model: string): readonly Issue[];
}

const NewVersion = Type.Object({
  runtime: Type.Optional(Type.String()),
  onnxBase64: Type.Optional(Type.String({ minLength: 1 })),
  endpoint: Type.Optional(AnyObject),
  signature: Type.Optional(AnyObject),
  card: Type.Optional(AnyObject),
  metadata: Type.Optional(AnyObject),
  datasets: Type.Optional(
    Type.Array(Type.Object({ name: Type.String({ minLength: 1 }), version: VersionNumber }), {
      description: 'Versions of datasets that it was trained on',
    }),
  ),
});
const tag = 'models';

/** The registry: versions, aliases, and how each is served; decision tables to try. */
export function modelRoutes({
  access,
  models,
  serving,
  decisions,
  fallbackWarningsOf,
}: Dependencies): (server: FastifyInstance) => void {
  const describe = (model: Model) => toJson(model, serving);
  return (server) => {
    readRoutes(
      server,
      () => models.list().map(describe),
      (name) => ({ ...describe(models.get(name)), warnings: fallbackWarningsOf(name).map(misfitToJson) }),
    );
    route(server, {
      method: 'POST',
      url: '/api/v1/models/:name/versions',
      permission: 'models.write',
      summary:
        'Register a version from an ONNX file, or from the endpoint of a server that runs it; it is test-run once before it is stored',
      tag,
      params: NameParams,
      body: NewVersion,
      status: 201,
      answer: AnyObject,
      handle: async ({ params, body, caller }) => {
        requireSecrets(
          { can: (who, what) => access.can(principalOf(who), what) },
          caller,
          body.endpoint as JsonObject | undefined,
        );
        const version = await models.register({
          name: params.name,
          runtime: body.runtime,
          onnx: body.onnxBase64 === undefined ? undefined : bytesOfBase64(body.onnxBase64, '/onnxBase64'),
          endpoint: body.endpoint as JsonObject | undefined,
          signature: body.signature as DeclaredSignature | undefined,
          card: body.card as JsonObject | undefined,
          metadata: body.metadata as JsonObject | undefined,
          datasets: body.datasets,
          by: actorOf(caller),
          startedBy: caller.training?.startedBy ?? undefined,
        });
        return versionToJson(version);
      },
    });
    fileRoute(server, models);
    route(server, {
      method: 'POST',
      url: '/api/v1/decisions/:name/evaluate',
      permission: 'definitions.read',
      summary: 'Evaluate a decision table, the newest version or another; nothing is recorded',
      tag: 'decisions',
      params: NameParams,
      body: Type.Object({
        input: AnyObject,
        version: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 })),
      }),
      answer: AnyObject,
      handle: ({ params: { name }, body: { version, input } }) =>
        version === undefined
          ? decisions.evaluate(name, input as JsonObject)
          : decisions.evaluateVersion(name, version, input as JsonObject),
    });
  };
}

function fileRoute(server: FastifyInstance, models: Models): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/models/:name/versions/:version/file',
    permission: 'models.read',
    summary:
      'The bytes that the digest of a version is computed over: its file, or the canonical JSON of the endpoint that runs it',
    tag,
    params: Type.Object({ name: Type.String({ minLength: 1 }), version: VersionNumber }),
    handle: async ({ params: { name, version }, reply }) => {
      const { digest } = models.version(name, version);
      const bytes = await models.artifact(digest);
      return reply
        .type('application/octet-stream')
        .header('content-disposition', 'attachment')
        .header('etag', `"${digest.slice('sha256:'.length)}"`)
        .send(Buffer.from(bytes));
    },
  });
}

function readRoutes(server: FastifyInstance, list: () => unknown[], one: (name: string) => unknown): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/models',
    permission: 'models.read',
    summary: 'Every model with its versions, aliases and serving statistics',
    tag,
    answer: pageOf(AnyObject),
    handle: () => ({ items: list(), nextCursor: null }),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/models/:name',
    permission: 'models.read',
    summary:
      'One model; `warnings` are fallback chains, its own and those that fall back to it, with steps that do not accept the calls',
    tag,
    params: NameParams,
    answer: AnyObject,
    handle: ({ params }) => one(params.name),
  });
}

function toJson({ name, versions, aliases }: Model, serving: Serving) {
  const statistics = serving.statistics();
  return {
    name,
    aliases,
    versions: versions.map((version) => ({
      ...versionToJson(version),
      serving: statistics[`${name}/${version.version}`] ?? null,
    })),
    serving: statistics[`${name}/${aliases.champion}`] ?? null,
  };
}

function versionToJson({ createdAt, ...version }: ModelVersion) {
  return { ...version, createdAt: iso(createdAt) };
}
