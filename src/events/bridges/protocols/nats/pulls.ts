import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';

/** A message of a stream, with what the server says of its delivery. */
export interface Pulled {
  readonly message: Msg;
  /** In the stream. */
  readonly sequence: number;
  /** How many messages the consumer has delivered with it. */
  readonly delivered: number;
  readonly timestampNanos: bigint;
  /** How many messages the stream has behind it. */
  readonly pending: number;
}

interface Wanted {
  readonly count: number;
  readonly bytes: number;
}

const EXPIRES_MS = 5_000;
/** A server that says nothing for so long, not even that a pull has expired, is gone. */
const SILENCE_MS = 2 * EXPIRES_MS;
const [NOT_FOUND, TIMEOUT, CONFLICT] = [404, 408, 409];

/**
 * Pulls of a consumer of JetStream, one after the other, each bounded by a number of messages and of bytes: the library's `fetch` takes either, and with bytes asks for
 * no more than 100 messages at once. Messages and statuses are those of NATS ADR-37 and ADR-15.
 *
 * @example const pulls = new Pulls(connection, 'orders', 'a-consumer'); for await (const messages of pulls.pull({ count: 500, bytes: 2e6 })) take(messages)
 */
export class Pulls {
  readonly #connection: NatsConnection;
  readonly #subject: string;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #answers: AsyncIterator<Msg>;

  /** @param newInbox `createInbox` of the library, which is loaded by the first bridge */
  constructor(connection: NatsConnection, stream: string, consumer: string, newInbox: () => string) {
    this.#connection = connection;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#inbox = newInbox();
    this.#subscription = connection.subscribe(this.#inbox);
    this.#answers = this.#subscription[Symbol.asyncIterator]();
  }

  /**
   * What has arrived, as it arrives, until all that was asked for is there or the server ends the pull. A message that is larger than `bytes` comes alone.
   *
   * @throws Error with the status of the server as `code`, or without one where it does not answer
   */
  async *pull({ count, bytes }: Wanted): AsyncGenerator<Pulled[]> {
    this.#ask({ batch: count, max_bytes: bytes });
    let arrived: Pulled[] = [];
    let isFirst = true;
    for (let left = count; left > 0; ) {
      const message = await this.#next();
      // What a status says stands in headers, which a message may hold as well, or hold broken ones: only a message has a subject for its acknowledgement.
      if (message.reply) {
        arrived.push(pulled(message));
        isFirst = false;
        left--;
      } else {
        const isTooLarge = endsPull(message);
        left = isTooLarge && isFirst ? 1 : 0;
        if (left === 1) this.#ask({ batch: 1 });
      }
      if (arrived.length === 0 || (left > 0 && this.#subscription.getPending() > 0)) continue;
      yield arrived;
      arrived = [];
    }
  }

  #ask(wanted: { batch: number; max_bytes?: number }): void {
    const expires = EXPIRES_MS * 1_000_000;
    this.#connection.publish(this.#subject, JSON.stringify({ ...wanted, expires }), { reply: this.#inbox });
  }

  async #next(): Promise<Msg> {
    const isThere = this.#subscription.getPending() > 0;
    const late = isThere ? undefined : setTimeout(() => this.#subscription.unsubscribe(), SILENCE_MS);
    try {
      const { value, done } = await this.#answers.next();
      if (done) throw new Error('The server does not answer any more.');
      return value;
    } finally {
      clearTimeout(late);
    }
  }
}

/** Whether a pull ended because the next message is larger than what was left of its bytes. */
function endsPull({ headers }: Msg): boolean {
  const { code = 0, description = '' } = headers ?? {};
  const isTooLarge = code === CONFLICT && /message size exceeds maxbytes/i.test(description);
  if (isTooLarge || code === TIMEOUT || code === NOT_FOUND) return isTooLarge;
  throw Object.assign(new Error(description || `The server answers with the status ${code}.`), { code });
}

/** The subject for the acknowledgement says it: `$JS.ACK.…`, in newer servers with a domain and an account before, and a token behind. */
function pulled(message: Msg): Pulled {
  const tokens = (message.reply ?? '').split('.');
  const at = tokens.length >= 11 ? 7 : 5;
  const [sequence = '', delivered = '', timestamp = '', pending = ''] = tokens.slice(at, at + 4);
  return {
    message,
    sequence: Number(sequence),
    delivered: Number(delivered),
    timestampNanos: BigInt(timestamp),
    pending: Number(pending),
  };
}
