import type { CloudEvent } from '../../../kernel/cloudevent.ts';
import type { AiosError } from '../../../kernel/errors.ts';
import type { Write } from '../../../store/lane.ts';
import { writeInTransaction } from '../../../store/write-in-transaction.ts';
import type { ConsumerDefinition } from '../../consumer-definition.ts';
import { refusedEvent } from '../../dead-letters.ts';
import { type BridgeDefinition, protocolOf } from '../definition/bridge-kind.ts';
import { messageOf, messageReader } from '../messages/message-mapping.ts';
import type { IncomingMessage } from '../port/protocol.ts';
import { bridgeOpening } from './bridge-context.ts';
import { bridgeGroup } from './bridge-view.ts';
import type { BridgesDependencies } from './bridges-dependencies.ts';

type Surroundings = Pick<
  BridgesDependencies,
  | 'protocols'
  | 'limits'
  | 'clock'
  | 'check'
  | 'log'
  | 'fill'
  | 'addresses'
  | 'folders'
  | 'schemaRegistry'
  | 'db'
>;

/** What is written of a message that was put aside. */
export interface Aside {
  readonly write: Write;
  /** Whether it is a dead letter; what a contract has put into quarantine is that contract's. */
  readonly isLetter: boolean;
}

/** What is written of a message or an event that a source cannot take: in quarantine where its contract says so, else a dead letter of the bridge. */
export function putAside(
  name: string,
  event: CloudEvent,
  error: AiosError,
  { quarantine }: Pick<BridgesDependencies, 'quarantine'>,
): Aside {
  const kept = quarantine(event, error);
  if (kept) return { write: kept, isLetter: false };
  return { write: refusedEvent({ group: bridgeGroup(name), event, error }), isLetter: true };
}

/** How messages become events by a definition. */
export function readerOf(
  definition: BridgeDefinition,
  { protocols, limits, clock }: Pick<BridgesDependencies, 'protocols' | 'limits' | 'clock'>,
) {
  return messageReader({
    bridge: definition.name,
    prefixes: protocolOf(definition, protocols).protocol.attributePrefixes,
    events: definition.events,
    limits,
    nowMs: () => clock.now(),
  });
}

/**
 * What replaying the dead letters of a source means: they are read again by the definition as it is now, held to the contracts as they are now, and appended.
 */
export function letterHandler(definition: BridgeDefinition, surroundings: Surroundings): ConsumerDefinition {
  const read = readerOf(definition, surroundings);
  const { check, log, protocols } = surroundings;
  const { unpacker } = protocolOf(definition, protocols).protocol.source!;
  const unpacked = async (messages: readonly (IncomingMessage | undefined)[]) => {
    if (!unpacker) return messages;
    const { context, settings } = await bridgeOpening(definition, surroundings, {
      report() {},
      answered() {},
    });
    const unpack = unpacker(context, settings);
    return Promise.all(messages.map(async (one) => (one && unpack ? (await unpack([one]))[0] : one)));
  };
  return {
    group: bridgeGroup(definition.name),
    handle: async (letters, tx) => {
      const messages = await unpacked(letters.map(({ event }) => messageOf(event)));
      const writes = letters.map(({ event: letter }, index) => {
        const message = messages[index];
        const event = message ? read(message) : letter;
        if ('error' in event && 'letter' in event) throw event.error;
        check(event as CloudEvent);
        return log.write(event as CloudEvent);
      });
      return writeInTransaction(tx, writes);
    },
  };
}
