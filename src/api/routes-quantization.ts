import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { JsonObject } from '../kernel/json.ts';
import type { Quantizations } from '../models/quantizations.ts';
import { actorOf, route } from './routes.ts';
import { AnyObject, iso, VersionNumber } from './shapes.ts';

interface Dependencies {
  quantizations: Quantizations;
}

const Params = Type.Object({ name: Type.String(), version: VersionNumber });
const Wanted = Type.Object({
  perChannel: Type.Optional(
    Type.Boolean({ description: 'A scale for each output channel of a weight, rather than one for all' }),
  ),
  reduceRange: Type.Optional(
    Type.Boolean({ description: 'Weights of 7 bits: for servers on x64 processors without VNNI' }),
  ),
  operators: Type.Optional(
    Type.Array(Type.String(), {
      minItems: 1,
      description: 'Gather, Gemm and MatMul when left out; Conv too makes a smaller file, and a slower one',
    }),
  ),
  weightBytesMin: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: 'Smaller weights stay FP32; quantizationWeightBytesMin when left out',
    }),
  ),
  agreementMin: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'The share of rows on which both must agree; quantizationAgreementMin when left out',
    }),
  ),
  rows: Type.Optional(
    Type.Array(AnyObject, {
      description:
        'Rows to compare on, by names of features or inputs; samples of the request log, or random numbers, when left out',
    }),
  ),
  label: Type.Optional(Type.String({ description: 'The column with the known outcome' })),
  dryRun: Type.Optional(Type.Boolean({ description: 'Measure only; nothing is kept' })),
});
const Quantized = Type.Object({
  version: Type.Union([AnyObject, Type.Null()]),
  isNew: Type.Boolean(),
  quantization: AnyObject,
});

/** Versions with weights of 8 bits, made of versions and measured beside them. */
export function quantizationRoutes({ quantizations }: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    route(server, {
      method: 'POST',
      url: '/api/v1/models/:name/versions/:version/quantize',
      permission: 'models.write',
      summary:
        'Register a version with 8-bit weights after comparing it with its parent; the same parent and options return the existing version (200)',
      tag: 'models',
      params: Params,
      body: Wanted,
      status: 201,
      answer: Quantized,
      handle: async ({ params, body, caller, reply }) => {
        const rows = body.rows as JsonObject[] | undefined;
        const wanted = { ...params, ...body, rows, by: actorOf(caller) };
        const { version, isNew, quantization } = await quantizations.quantize(wanted);
        if (!isNew) reply.code(200);
        return {
          version: version ? { ...version, createdAt: iso(version.createdAt) } : null,
          isNew,
          quantization,
        };
      },
    });
  };
}
