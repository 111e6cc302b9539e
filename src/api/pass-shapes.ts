import { Type } from 'typebox';
import type { LeasedPass } from '../features/leased-passes.ts';
import type { Pass } from '../features/passes.ts';
import { iso } from './shapes.ts';

const moment = Type.String({ format: 'date-time' });

/** What the answers about every kind of pass hold, besides its status. */
export const PASS = {
  id: Type.String(),
  requestedBy: Type.String(),
  requestedAt: moment,
  endedAt: Type.Optional(moment),
  problem: Type.Optional(Type.Unknown()),
};

/** Of passes that are worked on under a lease: they tell rows, and can be canceled. */
export const LEASED_PASS = {
  ...PASS,
  status: Type.String({ enum: ['running', 'done', 'failed', 'canceled'] }),
  rows: Type.Integer({ description: 'Rows so far' }),
  total: Type.Optional(Type.Integer({ description: 'Rows in total, once they are counted' })),
  canceledBy: Type.Optional(Type.String()),
};

export function passToJson(pass: Pass) {
  const { id, status, requestedBy, requestedAt, endedAt, problem } = pass;
  return {
    id,
    status,
    requestedBy,
    requestedAt: iso(requestedAt),
    ...(endedAt === null ? {} : { endedAt: iso(endedAt) }),
    ...(problem === null ? {} : { problem }),
  };
}

export function leasedPassToJson(pass: LeasedPass) {
  const { rows, total, canceledBy } = pass;
  return {
    ...passToJson(pass),
    rows,
    ...(total === null ? {} : { total }),
    ...(canceledBy === null ? {} : { canceledBy }),
  };
}
