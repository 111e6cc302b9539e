import type { LookupAddress } from 'node:dns';
import { EventEmitter } from 'node:events';
import { isIP, type LookupFunction } from 'node:net';
import type { Base, BaseOptions, Broker, Consumer, Producer } from '@platformatic/kafka';
import type { AiosError } from '../../../../kernel/errors.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import type { BridgeContext } from '../../port/protocol.ts';
import { shownCertificate, type TlsSetting } from '../client-certificate.ts';
import { kafkaFailure } from './kafka-failure.ts';

export interface KafkaSettings {
  /** `host:port` */
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly tls?: TlsSetting;
  readonly sasl?: {
    mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
    username: string;
    password: string;
  };
}

type Done = (error: Error | null, connection?: unknown) => void;
type Ask<From> = (from: From | undefined, done: Done) => void;

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

  readonly #watched = new WeakSet<EventEmitter>();
  /** What ended a connection that stood. */
  #ended: unknown;

  constructor(context: BridgeContext, settings: JsonObject) {
    this.#context = context;
    this.#settings = settings as unknown as KafkaSettings;
  }

  /**
   * What a client threw, as AIOS tells it. A broker refuses a certificate of ours only once the connection stands: all that the library says of it then is that it was closed.
   */
  failureOf(error: unknown): AiosError {
    const failure = kafkaFailure(error, this.#settings);
    const ended = this.#ended === undefined ? undefined : kafkaFailure(this.#ended, this.#settings);
    this.#ended = undefined;
    return failure.code === 'bridges.unreachable' && ended ? ended : failure;
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
    const shown = shownCertificate(tls, brokers.join(', '), this.#context.clock);
    return {
      clientId: `aios-${this.#context.name}`,
      bootstrapBrokers: [...brokers],
      connectTimeout: CONNECT_MS,
      requestTimeout: REQUEST_MS,
      metadataMaxAge: METADATA_MS,
      retries: 2,
      retryDelay: 200,
      ...(tls ? { tls: { ...shown, lookup: this.#lookup }, tlsServerName: brokers.some(isNamed) } : {}),
      ...(sasl ? { sasl } : {}),
    };
  }

  /** The library connects by itself: its pool is asked for addresses that were checked instead. */
  #guarded<Client extends Base>(client: Client): Client {
    const pool = client.connections;
    const get = pool.get.bind(pool) as Ask<Broker>;
    const getFirstAvailable = pool.getFirstAvailable.bind(pool) as Ask<Broker[]>;
    const watched = (done: Done) => (error: Error | null, connection?: unknown) => {
      if (connection instanceof EventEmitter && !this.#watched.has(connection)) {
        this.#watched.add(connection);
        connection.on('error', (ended) => {
          this.#ended = ended;
        });
      }
      done(error, connection);
    };
    // Inside the library both are called with a callback; a refusal is told to it as any failure is.
    const guarded: { get: Ask<Broker>; getFirstAvailable: Ask<Broker[]> } = {
      get: (broker, done) => {
        if (broker === undefined) get(broker, done);
        else this.#checked(broker).then((to) => get(to, watched(done)), done);
      },
      getFirstAvailable: (brokers = [], done) => {
        void Promise.allSettled(brokers.map((broker) => this.#checked(broker))).then((settled) => {
          const usable = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
          const refused = settled.find((one) => one.status === 'rejected');
          if (usable.length === 0 && refused) done(refused.reason as Error);
          else getFirstAvailable(usable, watched(done));
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
