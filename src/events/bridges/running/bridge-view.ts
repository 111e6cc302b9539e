import type { GroupProgress } from '../../group-offsets.ts';
import { type BridgeDefinition, protocolOf } from '../definition/bridge-kind.ts';
import type { BridgeProtocol } from '../port/protocol.ts';
import type { BridgeRow } from './bridge-store.ts';

/** The consumer group of a sink, and the one that dead letters of a source are listed under. */
export function bridgeGroup(name: string): string {
  return `bridge:${name}`;
}

/** A bridge as people look at it. Times are milliseconds since the epoch. */
export interface BridgeView
  extends Pick<BridgeRow, 'name' | 'position' | 'passed' | 'rejected' | 'movedAt' | 'notice' | 'noticeAt'>,
    Partial<Pick<BridgeRow, 'problem' | 'problemAt'>> {
  readonly version: number;
  readonly direction: 'source' | 'sink';
  readonly protocol: string;
  /** `waiting`: no process runs it at the moment. */
  readonly state: 'running' | 'paused' | 'failing' | 'waiting';
  /** Whether it can be told to go on from another place: not where the other side keeps that of a source. */
  readonly movable: boolean;
  /** Events of the log that a sink has not passed; what the other side has of a source (messages, or files of a folder), where it says so. */
  readonly lag?: number;
}

export function viewOf(
  definition: BridgeDefinition,
  version: number,
  protocols: readonly BridgeProtocol[],
  { row, group }: { row: BridgeRow | undefined; group: GroupProgress | undefined },
): BridgeView {
  const { name } = definition;
  const { direction, protocol } = protocolOf(definition, protocols);
  const isPaused = definition.paused === true || row?.isPaused === true;
  const isRun = direction === 'from' ? row?.isHeld : group?.partitions.some(({ owner }) => owner !== null);
  let state: BridgeView['state'] = isRun ? 'running' : 'waiting';
  if (isPaused) state = 'paused';
  else if (row?.problem) state = 'failing';
  return {
    name,
    version,
    direction: direction === 'from' ? 'source' : 'sink',
    protocol: protocol?.name ?? 'unknown',
    state,
    passed: row?.passed ?? 0,
    rejected: row?.rejected ?? 0,
    movable: direction === 'to' || protocol?.source?.position !== undefined,
    position: direction === 'from' ? (row?.position ?? null) : row ? { space: row.space } : null,
    ...lagOf(direction, row, group),
    movedAt: row?.movedAt ?? null,
    ...(isPaused ? {} : { problem: row?.problem ?? null, problemAt: row?.problemAt ?? null }),
    notice: row?.notice ?? null,
    noticeAt: row?.noticeAt ?? null,
  };
}

function lagOf(
  direction: 'from' | 'to',
  row: BridgeRow | undefined,
  group: GroupProgress | undefined,
): Pick<BridgeView, 'lag'> {
  if (direction === 'to') return { lag: group?.lag ?? 0 };
  return row?.isHeld && row.behind !== null ? { lag: row.behind } : {};
}
