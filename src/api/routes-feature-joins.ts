import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { FileJoinPass, FileJoins } from '../features/offline/file-joins.ts';
import type { Clock } from '../kernel/clock.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { AuditLog } from '../ledger/audit.ts';
import { LEASED_PASS, leasedPassToJson } from './pass-shapes.ts';
import { actorOf, type Caller, route } from './routes.ts';
import { IdParams, iso, pageOf } from './shapes.ts';

interface Dependencies {
  fileJoins: FileJoins;
  clock: Clock;
  auditLog: Pick<AuditLog, 'entry'>;
}

const text = Type.String({ minLength: 1 });
const Join = Type.Object({
  ...LEASED_PASS,
  service: Type.String(),
  entities: Type.String(),
  out: Type.String(),
  timestamp: Type.Optional(Type.String()),
  createdBefore: Type.Optional(Type.String({ format: 'date-time' })),
});
const tag = 'features';
const COUNT_MAX = 100;

/** Historical joins of files below the folders that the operator allows. Who asked for one, or ended it, is in the audit log, in the transaction that does it. */
export function featureJoinRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  const { fileJoins } = dependencies;
  return (server) => {
    startRoute(server, dependencies);
    cancelRoute(server, dependencies);
    route(server, {
      method: 'GET',
      url: '/api/v1/features/joins',
      permission: 'features.read',
      summary: `The newest ${COUNT_MAX} historical joins of files, with their progress`,
      tag,
      answer: pageOf(Join),
      handle: async () => ({ items: (await fileJoins.list(COUNT_MAX)).map(toJson), nextCursor: null }),
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/features/joins/:id',
      permission: 'features.read',
      summary: 'One historical join of files with its progress',
      tag,
      params: IdParams,
      answer: Join,
      handle: async ({ params: { id } }) => toJson(await fileJoins.get(id)),
    });
  };
}

function startRoute(server: FastifyInstance, dependencies: Dependencies): void {
  const { fileJoins } = dependencies;
  route(server, {
    method: 'POST',
    url: '/api/v1/features/joins',
    permission: 'features.control',
    summary:
      'Write a Parquet file with feature vectors at times in the past, for the entities of another file; both are in AIOS_FEATURE_FOLDERS',
    tag,
    body: Type.Object(
      {
        service: text,
        entities: Type.String({
          minLength: 1,
          description:
            '.parquet or .csv: join keys, the time of each row, and values that the request would bring',
        }),
        out: Type.String({ minLength: 1, description: 'A .parquet file that does not exist yet' }),
        timestamp: Type.Optional(
          Type.String({
            minLength: 1,
            description: 'The column with the time: `timestamp` or `event_timestamp`',
          }),
        ),
        createdBefore: Type.Optional(
          Type.String({
            format: 'date-time',
            description: 'The cut-off: only what had been recorded by then counts',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    status: 202,
    answer: Join,
    handle: async ({ body, caller, reply }) => {
      const { createdBefore, ...files } = body;
      const recordedByMs = createdBefore === undefined ? undefined : Date.parse(createdBefore);
      const record = recordOf(dependencies, caller, 'joined', body.service, body);
      const id = await fileJoins.start({ ...files, recordedByMs }, caller.id, [record]);
      reply.status(202);
      return toJson(await fileJoins.get(id));
    },
  });
}

function cancelRoute(server: FastifyInstance, dependencies: Dependencies): void {
  const { fileJoins } = dependencies;
  route(server, {
    method: 'POST',
    url: '/api/v1/features/joins/:id/cancel',
    permission: 'features.control',
    summary: 'Cancel a historical join of files that is running: no file is left',
    tag,
    params: IdParams,
    answer: Join,
    handle: async ({ params: { id }, caller }) => {
      const { service } = await fileJoins.get(id);
      await fileJoins.passes.cancel(id, caller.id, [
        recordOf(dependencies, caller, 'join canceled', service, { id }),
      ]);
      return toJson(await fileJoins.get(id));
    },
  });
}

function recordOf(
  { auditLog, clock }: Dependencies,
  caller: Caller,
  action: string,
  service: string,
  payload: JsonObject,
) {
  return auditLog.entry({
    kind: 'feature-service',
    action,
    actor: actorOf(caller),
    object: `feature-service:${service}`,
    at: clock.now(),
    payload,
  });
}

function toJson(join: FileJoinPass) {
  const { service, entities, out, timestamp, recordedByMs } = join;
  return {
    ...leasedPassToJson(join),
    service,
    entities,
    out,
    ...(timestamp === null ? {} : { timestamp }),
    ...(recordedByMs === null ? {} : { createdBefore: iso(recordedByMs) }),
  };
}
