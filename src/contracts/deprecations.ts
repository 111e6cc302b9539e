import type { Queryable } from '../store/database.ts';
import { timestamp } from '../store/rows.ts';
import { seenLane } from './seen-lane.ts';

/** A version that producers should leave; it stays usable. */
export interface Deprecation {
  /** Milliseconds since the epoch. */
  deprecatedAt: number;
  /** When events of it may begin to be refused; nothing refuses them by itself. */
  sunsetAt: number | null;
  message: string;
}

interface DeprecationItem {
  contract: string;
  version: string;
  before: Deprecation | undefined;
  wanted: Deprecation | undefined;
}

export const deprecationLane = seenLane<DeprecationItem>('contract deprecations', change);

const SEEN =
  'contract = $1 and version = $2 and deprecated_at = $3 and sunset_at is not distinct from $4 and message = $5';

async function change(
  tx: Queryable,
  { contract, version, before, wanted }: DeprecationItem,
): Promise<boolean> {
  const name = [contract, version];
  const rows = wanted
    ? before
      ? await tx.query(
          `update contract_deprecations set deprecated_at = $6, sunset_at = $7, message = $8 where ${SEEN} returning 1`,
          [...name, ...valuesOf(before), ...valuesOf(wanted)],
        )
      : await tx.query(
          `insert into contract_deprecations (contract, version, deprecated_at, sunset_at, message)
           values ($1, $2, $3, $4, $5) on conflict do nothing returning 1`,
          [...name, ...valuesOf(wanted)],
        )
    : before
      ? await tx.query(`delete from contract_deprecations where ${SEEN} returning 1`, [
          ...name,
          ...valuesOf(before),
        ])
      : [name];
  return rows.length > 0;
}

function valuesOf({ deprecatedAt, sunsetAt, message }: Deprecation): (string | null)[] {
  return [timestamp(deprecatedAt), sunsetAt === null ? null : timestamp(sunsetAt), message];
}
