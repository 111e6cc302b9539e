import type { Access } from '../access/access.ts';
import type { BodyIntake } from '../api/body-intake.ts';
import { type GrpcDoor, openGrpcDoor } from '../api/grpc-door.ts';
import { createFaultLog } from '../telemetry/fault-log.ts';
import type { AppOptions } from './app-options.ts';
import type { Stations } from './stations/stations.ts';

/**
 * The door of gRPC, where it is wanted.
 *
 * @param intake of large bodies, which both doors share
 * @param started throws as long as traffic may not come
 * @throws Error when the port that was asked for is taken
 */
export async function openGrpc(
  { grpc, role, host, limits }: AppOptions,
  stations: Stations,
  started: () => void,
  version: string,
  intake: BodyIntake,
): Promise<GrpcDoor | undefined> {
  const { access, db } = stations;
  if (grpc === undefined || role === 'worker') return undefined;
  return openGrpcDoor({
    ...stations,
    ...grpc,
    host: grpc.host ?? host,
    limits,
    version,
    intake,
    access: {
      authenticate: (authorization) => access.authenticate(authorization, undefined),
      can: (caller, permission) => access.can(caller as Parameters<Access['can']>[0], permission),
    },
    isReady: async () => {
      started();
      await db.query('select 1');
      return true;
    },
    onFault: createFaultLog(stations.troubles),
  });
}
