import type { AiosError } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import { type BridgeDefinition, filled, protocolOf } from '../definition/bridge-kind.ts';
import type { BridgeContext } from '../port/protocol.ts';
import { spaceOf } from './bridge-store.ts';
import type { BridgesDependencies, FilledText } from './bridges-dependencies.ts';

type Surroundings = Pick<
  BridgesDependencies,
  'protocols' | 'fill' | 'addresses' | 'folders' | 'schemaRegistry' | 'clock' | 'limits' | 'db'
>;

interface Opening {
  /** With the values of variables and secrets. */
  readonly settings: JsonObject;
  readonly context: BridgeContext;
  readonly secrets: readonly string[];
}

/**
 * What a bridge is opened with. Its secrets go to the hosts that they may go to: those of a schema registry to the registry, all others to the other side.
 *
 * @throws AiosError `connectors.variable_unset`
 */
export async function bridgeOpening(
  definition: BridgeDefinition,
  { protocols, fill, addresses, folders, schemaRegistry, clock, limits, db }: Surroundings,
  tell: Pick<BridgeContext, 'answered'> & { report(error: AiosError, secrets: readonly string[]): void },
): Promise<Opening> {
  const secrets: string[] = [];
  const filling = (settings: JsonObject) => {
    const parts: FilledText[] = [];
    const made = filled(settings, (text) => {
      const part = fill(text);
      secrets.push(...part.secrets);
      parts.push(part);
      return part.text;
    }) as JsonObject;
    const check = (host: string, port: number) => {
      for (const part of parts) part.check(host, port);
    };
    return { made, check };
  };
  const { schemas, ...others } = protocolOf(definition, protocols).settings;
  const side = filling(others);
  const registry = filling(schemas === undefined ? {} : { schemas });
  const allowPrivate = (definition.allowPrivate ?? []).map((text) => fill(text).text);
  const context: BridgeContext = {
    name: definition.name,
    space: await spaceOf(db, definition.name),
    clock,
    limits,
    egress: {
      async addresses(host, port) {
        // A cluster names its brokers itself: what may be sent to each is known only here.
        side.check(host, port);
        return addresses(host, port, allowPrivate);
      },
      folders,
    },
    schemaRegistry: (address) =>
      schemaRegistry(address && { ...address, check: registry.check }, allowPrivate),
    report: (error) => tell.report(error, secrets),
    answered: tell.answered,
  };
  return { settings: { ...side.made, ...registry.made }, context, secrets };
}
