import type { Socket } from 'node:net';
import { cutRequestId, newRequestId, REQUEST_ID } from '../request-id.ts';
import { type Admission, type Handling, handlingFor, type LeanDoor, type Reply } from './door.ts';
import { readHead } from './head.ts';

/** A head that a door takes. */
interface TakenHead extends Handling {
  readonly bodyBytes: number;
  /** The headers of its answers as text. */
  readonly headerLines: string;
}

/** What a lean connection shares with the others of its server. */
export interface ConnectionShop {
  readonly doors: readonly LeanDoor[];
  /** Heads that were read before, by their text: a client sends the same few again and again. */
  readonly heads: Map<string, TakenHead>;
  readonly requestIdCharsMax: number;
  /** Headers of every answer, the date among them. */
  commonHeaders(): string;
  /** Gives the connection to node:http, for good, with what has come and is not answered. */
  handOver(connection: LeanConnection, socket: Socket, received: Buffer): void;
  ended(connection: LeanConnection): void;
}

const START = Buffer.from('POST /');
const HEAD_END = Buffer.from('\r\n\r\n');
const HEAD_BYTES_MAX = 8192;
const HEADS_KEPT_MAX = 1024;
const AHEAD_BYTES_MAX = 256 * 1024; // sent before the answer to what came first; past it the socket is not read
const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  202: 'Accepted',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/**
 * A connection that has brought nothing but what lean doors take, read without node:http, whose objects for each request cost as much as
 * the rest of a small inference. The first thing on it that is anything else makes it an ordinary connection, with that as its first request.
 */
export class LeanConnection implements Reply {
  /** When the request began whose body is missing a part, by the monotonic clock; 0 when none does. */
  waitingSinceMs = 0;
  /** When the last answer was sent, or the connection came. */
  idleSinceMs = performance.now();
  /** Of the request that is read or answered. */
  requestId = '';
  readonly #shop: ConnectionShop;
  readonly #socket: Socket;
  readonly #gone = new AbortController();
  #head: TakenHead | undefined;
  /** What the answer carries because of its head, as text. */
  #headerLines = '';
  /** A body whose parts come one by one, and how many bytes of it are there. */
  #buffer: Buffer | undefined;
  #filled = 0;
  /** Gives back what a large body holds. */
  #release: (() => void) | undefined;
  #isAnswering = false;
  /** Whether it closes with its next answer. */
  #isLast = false;
  /** Came while a request was answered. */
  #ahead: Buffer[] = [];
  #aheadBytes = 0;

  constructor(shop: ConnectionShop, socket: Socket) {
    this.#shop = shop;
    this.#socket = socket;
    socket
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('close', this.#onClose)
      .on('error', this.#onError);
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get isIdle(): boolean {
    return !this.#isAnswering && this.#head === undefined;
  }

  send(status: number, headers: readonly string[], body: string | Uint8Array): void {
    this.#isAnswering = false;
    this.#head = undefined;
    if (this.#release) this.#giveBack(this.#release);
    const socket = this.#socket;
    if (!socket.writable) return;
    this.#write(status, headers, body);
    this.idleSinceMs = performance.now();
    if (this.#isLast) socket.destroySoon();
    // A caller that sends without reading what is answered is not read either.
    else if (socket.writableNeedDrain) socket.pause().once('drain', this.#onDrain);
    // Not at once: answers that need no waiting would go ever deeper.
    else if (this.#aheadBytes > 0) setImmediate(this.#next);
  }

  /** Answers what it is on, if anything, and closes. */
  finish(): void {
    this.#isLast = true;
    if (this.isIdle) this.#socket.destroy();
  }

  /** Ends a connection on which a body stays away. */
  refuseLate(): void {
    this.#isLast = true;
    this.send(408, [], '');
  }

  destroy(): void {
    this.#socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isAnswering || this.#aheadBytes > 0) this.#keep(chunk);
    else if (this.#head) this.#body(this.#head, chunk);
    else if (!this.#isLast) this.#start(chunk);
  };

  readonly #onDrain = (): void => {
    if (this.#aheadBytes > 0) this.#next();
    else this.#socket.resume();
  };

  /** Whoever ends its side has gone, as for node:http; `close` follows. */
  readonly #onEnd = (): void => {
    this.#socket.end();
  };

  readonly #onClose = (): void => {
    this.#gone.abort();
    if (this.#release) this.#giveBack(this.#release);
    this.#shop.ended(this);
  };

  readonly #onError = (): void => {}; // `close` follows

  #start(chunk: Buffer): void {
    const end = chunk.indexOf(HEAD_END);
    const isOurs = end > 0 && end < HEAD_BYTES_MAX && START.compare(chunk, 0, START.length) === 0;
    const text = isOurs ? chunk.toString('latin1', 0, end + 4) : '';
    const cut = cutRequestId(text, this.#shop.requestIdCharsMax);
    const head = isOurs ? this.#headOf(cut?.head ?? text) : undefined;
    // Two ids are node's to join.
    if (!head || (cut && head.requestId !== undefined)) {
      this.#handOver(chunk);
      return;
    }
    this.#head = head;
    this.#headerLines = head.headerLines;
    this.requestId = cut?.id ?? head.requestId ?? newRequestId();
    const from = end + 4;
    const bytes = chunk.length - from;
    if (bytes === head.bodyBytes) this.#answer(head, chunk.subarray(from));
    else {
      this.waitingSinceMs = performance.now();
      if (head.admission) this.#admit(head, head.admission, chunk.subarray(from));
      else this.#body(head, chunk.subarray(from));
    }
  }

  /** A large body is read once it is let in; what comes before waits, and past a bound on the other side. */
  #admit(head: TakenHead, admission: Admission, received: Buffer): void {
    this.#isAnswering = true;
    if (received.length > 0) this.#keep(received);
    const { signal, requestId } = this;
    admission({ signal, requestId, send: this.#refuse }, (release) => {
      if (!this.#socket.writable) {
        release(); // gone, or refused for being late
        return;
      }
      this.#release = release;
      this.#isAnswering = false;
      this.#socket.resume();
      if (this.#aheadBytes > 0) this.#body(head, this.#takeAhead());
    });
  }

  /** Answers instead of reading the body, which is dropped while the caller takes the answer. */
  readonly #refuse = (status: number, headers: readonly string[], body: string | Uint8Array): void => {
    this.#takeAhead();
    this.waitingSinceMs = 0;
    this.#isAnswering = false;
    this.#head = undefined;
    this.#isLast = true;
    this.idleSinceMs = performance.now();
    if (!this.#socket.writable) return;
    this.#write(status, headers, body);
    this.#socket.end();
    this.#socket.resume();
  };

  #headOf(text: string): TakenHead | undefined {
    const { heads, doors } = this.#shop;
    const known = heads.get(text);
    if (known) return known;
    const read = readHead(text);
    const handling = read && handlingFor(doors, read);
    if (!handling) return undefined;
    const head = { bodyBytes: read.bodyBytes, headerLines: linesOf(handling.headers), ...handling };
    // Heads that differ each time, by a trace for instance, must not fill the memory.
    if (heads.size >= HEADS_KEPT_MAX) heads.clear();
    heads.set(text, head);
    return head;
  }

  #body(head: TakenHead, chunk: Buffer): void {
    const missing = head.bodyBytes - this.#filled;
    if (chunk.length < missing) {
      if (chunk.length > 0) this.#fill(head, chunk);
      return;
    }
    const ahead = chunk.length - missing;
    const last = ahead === 0 ? chunk : chunk.subarray(0, missing);
    if (this.#filled > 0) this.#fill(head, last);
    const body = this.#buffer ?? last;
    this.#buffer = undefined;
    this.#filled = 0;
    this.waitingSinceMs = 0;
    if (ahead > 0) this.#keep(chunk.subarray(missing));
    this.#answer(head, body);
  }

  /** Into one piece at once: a body that comes byte by byte would cost 100 bytes for each. */
  #fill(head: TakenHead, part: Buffer): void {
    this.#buffer ??= Buffer.allocUnsafe(head.bodyBytes);
    part.copy(this.#buffer, this.#filled);
    this.#filled += part.length;
  }

  #answer(head: TakenHead, body: Buffer): void {
    this.#isAnswering = true;
    head.handle(body, this);
  }

  #keep(chunk: Buffer): void {
    this.#ahead.push(chunk);
    this.#aheadBytes += chunk.length;
    if (this.#aheadBytes > AHEAD_BYTES_MAX) this.#socket.pause();
  }

  /** Goes on with what came while a request was answered. */
  readonly #next = (): void => {
    if (this.#socket.destroyed) return;
    const received = this.#takeAhead();
    this.#socket.resume();
    this.#start(received);
  };

  #takeAhead(): Buffer {
    const received = this.#ahead.length === 1 ? this.#ahead[0]! : Buffer.concat(this.#ahead);
    this.#ahead = [];
    this.#aheadBytes = 0;
    return received;
  }

  #giveBack(release: () => void): void {
    this.#release = undefined;
    release();
  }

  #handOver(received: Buffer): void {
    const socket = this.#socket;
    socket
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('close', this.#onClose)
      .off('error', this.#onError);
    this.#shop.handOver(this, socket, received);
  }

  #write(status: number, headers: readonly string[], body: string | Uint8Array): void {
    let text = `HTTP/1.1 ${status} ${REASONS[status] ?? 'Unknown'}\r\n`;
    text += `${linesOf(headers)}${REQUEST_ID}: ${this.requestId}\r\n${this.#headerLines}${this.#shop.commonHeaders()}`;
    if (this.#isLast) text += 'connection: close\r\n';
    else text += 'connection: keep-alive\r\n';
    if (typeof body === 'string') {
      const bytes = Buffer.byteLength(body);
      // One write, and of a text of one byte a character: as UTF-8 it would be encoded anew.
      this.#socket.write(
        `${text}content-length: ${bytes}\r\n\r\n${body}`,
        bytes === body.length ? 'latin1' : 'utf8',
      );
      return;
    }
    this.#socket.cork();
    this.#socket.write(`${text}content-length: ${body.length}\r\n\r\n`, 'latin1');
    this.#socket.write(body);
    this.#socket.uncork();
  }
}

function linesOf(headers: readonly string[]): string {
  let text = '';
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return text;
}
