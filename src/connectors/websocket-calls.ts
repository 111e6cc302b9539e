import { WebSocket } from 'undici';
import { AiosError } from '../kernel/errors.ts';
import { exactJson } from '../kernel/exact-integers.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { type Authentication, secretsOf } from './authentication.ts';
import { guardedAddresses } from './egress.ts';
import type { Outgoing } from './outgoing.ts';
import { redact } from './secrets.ts';

interface Channel {
  /** `ws` or `wss`. */
  readonly url: string;
  /** Sent with the handshake. */
  readonly authentication?: Authentication | undefined;
  readonly signal: AbortSignal;
}

interface Publication extends Channel {
  readonly payload: Json;
}

interface Subscription extends Channel {
  /** Takes a message; true when it wants no more. */
  readonly take: (message: { payload: Json; headers: JsonObject }) => boolean;
  /** How long it listens; with its end the subscription ends, and is no error. */
  readonly forMs?: number | undefined;
}

const NORMAL = 1_000;

/** Messages over WebSocket: a connection for each call, to an address that was checked, one attempt. A message is a frame, of text or of bytes that are text. */
export class WebSocketCalls {
  readonly #outgoing: Outgoing;

  constructor(outgoing: Outgoing) {
    this.#outgoing = outgoing;
  }

  /**
   * Answers when the server has taken leave, which it does after what came before.
   *
   * @throws AiosError `connectors.unreachable` (nothing was sent), `connectors.outcome_unknown`, `connectors.egress_refused`, `connectors.canceled`
   * @example await sockets.publish({ url: 'wss://example.org/greetings', payload: { hello: 1 }, signal })
   */
  async publish({ payload, ...channel }: Publication): Promise<void> {
    const { signal, url } = channel;
    const socket = await this.#open(channel);
    try {
      const left = once(socket, signal, this.#outgoing.limits.httpCallMs, (done) => {
        socket.addEventListener('close', done);
      });
      socket.send(typeof payload === 'string' ? payload : JSON.stringify(payload));
      socket.close(NORMAL);
      await left;
    } catch (error) {
      throw new AiosError('connectors.outcome_unknown', {
        detail: `${url}: ${(error as Error).message}`,
        ...(signal.aborted ? { extensions: { canceled: true } } : {}),
      });
    } finally {
      socket.close();
    }
  }

  /**
   * Listens until `take` wants no more, or for `forMs`.
   *
   * @throws AiosError as `publish`; `connectors.failed` when the server ends the connection, or nothing ends it within `subscriptionMs`
   */
  async subscribe({ take, forMs, ...channel }: Subscription): Promise<void> {
    const { signal, url } = channel;
    const { subscriptionMs } = this.#outgoing.limits;
    const early: MessageEvent[] = [];
    let onMessage = (event: MessageEvent): void => void early.push(event);
    // What the server says with the handshake's answer is there before the next turn.
    const socket = await this.#open(channel, (event) => onMessage(event));
    let timer: NodeJS.Timeout | undefined;
    try {
      await once(socket, signal, forMs === undefined ? subscriptionMs : undefined, (done, fail) => {
        let isOver = false;
        onMessage = ({ data }) => {
          if (isOver) return;
          try {
            isOver = take({ payload: contentOf(data), headers: {} });
            if (isOver) done();
          } catch (error) {
            fail(error);
          }
        };
        socket.addEventListener('close', ({ code, reason }) =>
          fail(new Error(`The server ended the connection: ${code} ${reason}`.trim())),
        );
        if (forMs !== undefined) timer = setTimeout(done, forMs);
        for (const event of early) onMessage(event);
      });
    } catch (error) {
      if (error instanceof AiosError) throw error;
      const code = signal.aborted ? 'connectors.canceled' : 'connectors.failed';
      throw new AiosError(code, { detail: `${url}: ${(error as Error).message}` });
    } finally {
      clearTimeout(timer);
      socket.close(NORMAL);
    }
  }

  async #open(
    { url, authentication, signal }: Channel,
    onMessage?: (event: MessageEvent) => void,
  ): Promise<WebSocket> {
    const { agent, authenticator, limits, resolve } = this.#outgoing;
    const target = { method: 'GET', url: new URL(url.replace(/^ws/, 'http')) };
    const host = target.url.hostname.replace(/^\[|\]$/g, '');
    const port = Number(target.url.port) || (url.startsWith('wss:') ? 443 : 80);
    // The agent checks again what it connects to, but the library does not say why a connection came to nothing.
    await guardedAddresses(host, this.#outgoing.isAllowed(host, port), resolve);
    const authorization = await authenticator.authorization(authentication, target, undefined, signal);
    const socket = new WebSocket(url, {
      dispatcher: agent,
      ...(authorization === undefined ? {} : { headers: { authorization } }),
    });
    socket.binaryType = 'arraybuffer';
    if (onMessage) socket.addEventListener('message', onMessage);
    try {
      await once(socket, signal, limits.httpCallMs, (done) => socket.addEventListener('open', done));
      return socket;
    } catch (error) {
      socket.close();
      const detail = redact(`${url}: ${(error as Error).message}`, new Set(secretsOf(authorization)));
      throw new AiosError(signal.aborted ? 'connectors.canceled' : 'connectors.unreachable', { detail });
    }
  }
}

/** What the work comes to, unless the connection fails, the caller goes or the time ends first. */
async function once(
  socket: WebSocket,
  signal: AbortSignal,
  timeoutMs: number | undefined,
  work: (done: () => void, fail: (error: unknown) => void) => void,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let canceled = () => {};
  try {
    await new Promise<void>((done, fail) => {
      socket.addEventListener('error', ({ error, message }) => fail(error ?? new Error(message)));
      canceled = () => fail(new Error('The call was canceled.'));
      signal.addEventListener('abort', canceled, { once: true });
      if (signal.aborted) canceled();
      if (timeoutMs !== undefined)
        timer = setTimeout(() => fail(new Error(`No end within ${timeoutMs} ms.`)), timeoutMs);
      work(done, fail);
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', canceled);
  }
}

function contentOf(data: unknown): Json {
  const text = typeof data === 'string' ? data : Buffer.from(data as ArrayBuffer).toString('utf8');
  try {
    return exactJson(text);
  } catch {
    return text;
  }
}
