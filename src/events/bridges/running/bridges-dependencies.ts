import type { LookupAddress } from 'node:dns';
import type { Clock } from '../../../kernel/clock.ts';
import type { CloudEvent } from '../../../kernel/cloudevent.ts';
import type { AiosError } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import type { Limits } from '../../../kernel/limits.ts';
import type { Database } from '../../../store/database.ts';
import type { Definitions } from '../../../store/definitions.ts';
import type { Committer } from '../../../store/group-commit.ts';
import type { Write } from '../../../store/lane.ts';
import type { EventConsumers } from '../../consumers.ts';
import type { EventLog } from '../../log.ts';
import type { BridgeProtocol } from '../port/protocol.ts';
import type { RegistryAddress, SchemaRegistry, ValueSchema } from '../port/schema-registry.ts';

/** What bridges are run with; all that is of other modules comes by it. */
export interface BridgesDependencies {
  db: Database;
  commit: Committer;
  log: EventLog;
  consumers: EventConsumers;
  definitions: Pick<Definitions, 'list'>;
  clock: Clock;
  limits: Limits;
  protocols: readonly BridgeProtocol[];
  /** False in a process that leaves bridges to the others. */
  takesPart: boolean;
  /** Checked addresses of a host (`BridgeEgress`); private ones where the list names the host. */
  addresses(host: string, port: number, allowPrivate: readonly string[]): Promise<readonly LookupAddress[]>;
  folders: readonly string[];
  /** A schema registry, of this installation where no address is given. @param address with what checks where its secrets may go */
  schemaRegistry(
    address: (RegistryAddress & Pick<FilledText, 'check'>) | undefined,
    allowPrivate: readonly string[],
  ): SchemaRegistry;
  /**
   * Fills the variables and secrets of a text in, and tells which values are secret.
   *
   * @returns also `check`, which throws an AiosError for a host that one of these secrets may not be sent to
   */
  fill(text: string): FilledText;
  redact(text: string, secrets: Iterable<string>): string;
  /** The schema that the data of events of a type is held to; nothing where the type has no contract. */
  contractSchema(type: string): ValueSchema | undefined;
  /** Holds an event to its contract. @throws AiosError when it does not fit */
  check(event: CloudEvent): unknown;
  /** The write that keeps an event apart, where its contract says so. */
  quarantine(event: CloudEvent, fault: AiosError): Write | undefined;
  record(change: BridgeChange): Write;
  onError(name: string, error: unknown): void;
}

export interface FilledText {
  readonly text: string;
  readonly secrets: readonly string[];
  check(host: string, port: number): void;
}

/** What somebody did to a bridge. */
export type BridgeChange = { readonly name: string; readonly by: Actor } & (
  | { readonly action: 'paused' | 'resumed' | 'restarted' }
  | { readonly action: 'moved' | 'reset'; readonly from: JsonObject | null; readonly to: JsonObject | null }
);

export type Actor = { kind: string; id: string };
