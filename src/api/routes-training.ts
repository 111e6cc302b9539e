import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AiosError } from '../kernel/errors.ts';
import { readTrainingLog } from '../models/training/training-log.ts';
import type { Queryable } from '../store/database.ts';
import { route } from './routes.ts';
import { AnyObject, IdParams, iso, pageOf, pageQuery } from './shapes.ts';

interface Dependencies {
  db: Queryable;
}

/** What the trainings of a run wrote. */
export function trainingRoutes({ db }: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/runs/:id/logs',
      permission: 'runs.read',
      summary:
        'The output of the training commands of a run, in pieces; pass the cursor to get what was added since',
      tag: 'runs',
      params: IdParams,
      query: pageQuery({ step: Type.Optional(Type.String()) }),
      answer: pageOf(AnyObject),
      handle: async ({ params, query: { step, cursor, limit = 50 } }) => {
        const after = Number(cursor ?? 0);
        if (!Number.isSafeInteger(after))
          throw new AiosError('request.invalid', {
            issues: [{ path: '/cursor', message: 'no cursor of ours', found: cursor ?? '' }],
          });
        const pieces = await readTrainingLog(db, { runId: params.id, step, after, limit });
        const last = pieces.at(-1);
        return {
          items: pieces.map(({ seq, stepKey, trainingRun, stream, text, at }) => ({
            seq,
            stepKey,
            trainingRun,
            stream,
            text,
            at: iso(at),
          })),
          nextCursor: last ? String(last.seq) : null,
        };
      },
    });
  };
}
