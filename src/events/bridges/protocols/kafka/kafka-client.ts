import type { LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import type { Base, BaseOptions, Broker, Consumer, Producer } from '@platformatic/kafka';
import type { JsonObject } from '../../../../kernel/json.ts';
import type { BridgeContext } from '../../port/protocol.ts';

export interface KafkaSettings {
  /** `host:port` */
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly tls?: boolean;
  readonly sasl?: {
    mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
    username: string;
    password: string;
  };
}

type Ask<From> = (from: From | undefined, done: (error: Error | null, connection?: unknown) => void) => void;

const CONNECT_MS = 5_000;
const REQUEST_MS = 30_000;
/** New partitions are seen after this. */
const METADATA_MS = 10_000;

/** Clients of one cluster: each connection goes to an address that was checked, that of a broker that the cluster names too. */
export class KafkaClients {
  readonly #context: BridgeContext;
  readonly #settings: KafkaSettings;
  /** What the names of brokers resolved to when they were checked. */
  readonly #addresses = new Map<string, readonly LookupAddress[]>();

  constructor(context: BridgeContext, settings: JsonObject) {
    this.#context = context;
    this.#settings = settings as unknown as KafkaSettings;
  }

  get topic(): string {
    return this.#settings.topic;
  }

  /** For reading without a group: `groupId` is that whose committed offsets are looked up. */
  async consumer(groupId: string): Promise<Consumer> {
    const { Consumer } = await import('@platformatic/kafka');
    return this.#guarded(new Consumer({ ...this.#options(), groupId }));
  }

  async producer(transactionalId: string): Promise<Producer> {
    const { Producer } = await import('@platformatic/kafka');
    return this.#guarded(
      new Producer({ ...this.#options(), transactionalId, idempotent: true, acks: -1, timeout: REQUEST_MS }),
    );
  }

  #options(): BaseOptions {
    const { brokers, tls, sasl } = this.#settings;
    return {
      clientId: `aios-${this.#context.name}`,
      bootstrapBrokers: [...brokers],
      connectTimeout: CONNECT_MS,
      requestTimeout: REQUEST_MS,
      metadataMaxAge: METADATA_MS,
      retries: 2,
      retryDelay: 200,
      ...(tls ? { tls: { lookup: this.#lookup }, tlsServerName: brokers.some(isNamed) } : {}),
      ...(sasl ? { sasl } : {}),
    };
  }

  /** The library connects by itself: its pool is asked for addresses that were checked instead. */
  #guarded<Client extends Base>(client: Client): Client {
    const pool = client.connections;
    const get = pool.get.bind(pool) as Ask<Broker>;
    const getFirstAvailable = pool.getFirstAvailable.bind(pool) as Ask<Broker[]>;
    // Inside the library both are called with a callback; a refusal is told to it as any failure is.
    const guarded: { get: Ask<Broker>; getFirstAvailable: Ask<Broker[]> } = {
      get: (broker, done) => {
        if (broker === undefined) get(broker, done);
        else this.#checked(broker).then((to) => get(to, done), done);
      },
      getFirstAvailable: (brokers = [], done) => {
        void Promise.allSettled(brokers.map((broker) => this.#checked(broker))).then((settled) => {
          const usable = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
          const refused = settled.find((one) => one.status === 'rejected');
          if (usable.length === 0 && refused) done(refused.reason as Error);
          else getFirstAvailable(usable, done);
        });
      },
    };
    Object.assign(pool, guarded);
    return client;
  }

  async #checked({ host, port }: Broker): Promise<Broker> {
    const addresses = await this.#context.egress.addresses(host, port);
    this.#addresses.set(host, addresses);
    // TLS goes to the name, which the certificate is for; its sockets look it up by `#lookup`.
    return this.#settings.tls ? { host, port } : { host: addresses[0]!.address, port };
  }

  readonly #lookup: LookupFunction = (host, { all }, done) => {
    const addresses = this.#addresses.get(host) ?? [];
    const [first] = addresses;
    if (!first) return done(Object.assign(new Error(`${host} was not checked`), { code: 'ENOTFOUND' }), '');
    return all ? done(null, [...addresses]) : done(null, first.address, first.family);
  };
}

/** An address is no server name (RFC 6066); a cluster whose brokers are named by addresses needs none. */
function isNamed(broker: string): boolean {
  return isIP(new URL(`kafka://${broker}`).hostname.replace(/^\[|\]$/g, '')) === 0;
}
