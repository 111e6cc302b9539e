import type { Json } from '../../../kernel/json.ts';
import { type BridgeDefinition, protocolOf } from '../definition/bridge-kind.ts';
import { placesOf, writtenType } from '../definition/bridge-lineage.ts';
import type { BridgeProtocol } from '../port/protocol.ts';

/** Where a bridge takes messages from, or sends them, as its definition writes it. */
export interface BridgeChannel {
  readonly kind: 'bridge';
  readonly name: string;
  readonly action: 'receive' | 'send';
  /** As AsyncAPI names it. */
  readonly protocol: string;
  /** `host:port`; nothing for the folders of this machine. */
  readonly host: string | undefined;
  /** Nothing where each event has its own. */
  readonly address: string | null;
  /** The types of events that are written out; none where they are computed, or all go out. */
  readonly types: readonly string[];
}

const first = (value: Json | undefined) => (Array.isArray(value) ? value[0] : value);

/** The channels of a bridge: one for each topic, queue or folder that it names. */
export function channelsOf(
  definition: BridgeDefinition,
  protocols: readonly BridgeProtocol[],
): BridgeChannel[] {
  const { name, from, events, types = [] } = definition;
  const { protocol, settings } = protocolOf(definition, protocols);
  const { host, port, brokers, servers, broker } = settings;
  const named = first(brokers) ?? first(servers) ?? broker ?? (port === undefined ? host : `${host}:${port}`);
  const brought = writtenType(events?.type);
  const places = placesOf(settings);
  return (places.length > 0 ? places : [null]).map((address) => ({
    ...{ kind: 'bridge', name, address, action: from ? 'receive' : 'send' },
    protocol: protocol.name === 'files' ? 'file' : protocol.name,
    host: named === undefined ? undefined : String(named),
    types: from ? (brought ? [brought] : []) : types,
  }));
}
