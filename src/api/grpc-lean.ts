import type { Http2Server, IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Span } from '@opentelemetry/api';
import type { ModelInferRequest, ModelInferResponse } from '../serving/protocol/grpc-messages.ts';
import type { GrpcMethod } from '../serving/protocol/grpc-services.ts';
import { sampleAhead } from '../telemetry/sampling.ts';
import type { BodyIntake } from './body-intake.ts';
import type { GrpcCalls, GrpcFault } from './grpc-call.ts';
import type { GrpcHead, ReadMetadata } from './grpc-head.ts';
import { GIVEN_UP, type GrpcInference } from './grpc-inference.ts';
import { GrpcMessages } from './grpc-messages.ts';
import { endSpan, withSpan } from './grpc-tracing.ts';
import type { Caller } from './routes.ts';

/**
 * What grpc-js listens with, and how it learns which connections are in use. Private in its types; the version is pinned, and `grpc-admission.test.ts` and
 * `grpc-lean.test.ts` hold it.
 */
export interface GrpcServerInside {
  readonly http2Servers: ReadonlyMap<Http2Server & { maxConnections: number }, unknown>;
  onStreamOpened(stream: ServerHttp2Stream): void;
}

export interface LeanGrpcOptions {
  /** ModelInfer. */
  readonly method: GrpcMethod;
  readonly calls: GrpcCalls;
  readonly inference: GrpcInference;
  readonly intake: BodyIntake;
  readonly messageBytesMax: number;
}

const HEAD_BYTES = 5; // of a message: whether it is compressed, and its length
const STATUS = { deadlineExceeded: 4, unimplemented: 12, internal: 13 } as const;
const TYPES: ReadonlySet<unknown> = new Set(['application/grpc', 'application/grpc+proto']);
const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Name, value, …: node sends such a list for 0.8 µs less than the same as an object, which is half of what the id of a request costs. */
const ANSWER_HEAD = [
  ...[':status', '200', 'content-type', 'application/grpc+proto'],
  ...['grpc-accept-encoding', 'identity,deflate,gzip'],
];
const WITH_TRAILERS = { waitForTrailers: true };
const ANSWERED = { 'grpc-status': '0', 'grpc-message': 'OK' };

/**
 * Answers ModelInfer on the streams of HTTP/2 themselves, in the place of grpc-js, whose layers cost more than all the rest of a small inference
 * (decisions/0028). What is not as plain (a compressed message, a call that its caller traces, a head that cannot be read) goes to grpc-js as before, and so
 * do all other methods. Permissions, bounds, errors and inferences are the functions that both use.
 *
 * @param server listens already
 * @example answerLean(server as unknown as GrpcServerInside, { method: services.inference.ModelInfer, calls, inference, intake, messageBytesMax })
 */
export function answerLean(server: GrpcServerInside, options: LeanGrpcOptions): void {
  const { method, calls } = options;
  for (const listening of server.http2Servers.keys()) {
    const theirs = listening.listeners('stream');
    listening.removeAllListeners('stream');
    listening.on('stream', (stream, headers, ...rest) => {
      const deadline = deadlineOfPlain(headers, method.path);
      if (deadline === undefined || (calls.isTraced && headers.traceparent !== undefined)) {
        for (const listener of theirs) listener.call(listening, stream, headers, ...rest);
        return;
      }
      server.onStreamOpened(stream);
      new LeanCall(stream, headers, deadline, options).begin();
    });
  }
}

/** When a plain call is over, in milliseconds of the wall clock, or infinitely late; undefined for any other call. */
function deadlineOfPlain(headers: IncomingHttpHeaders, path: string): number | undefined {
  if (headers[':path'] !== path || headers[':method'] !== 'POST') return undefined;
  const { 'content-type': type, 'grpc-encoding': encoding, 'grpc-timeout': timeout } = headers;
  if (!TYPES.has(type) || (encoding !== undefined && encoding !== 'identity')) return undefined;
  if (timeout === undefined) return Number.POSITIVE_INFINITY;
  const [, count, unit] = /^(\d{1,8})([HMSmun])$/.exec(String(timeout)) ?? [];
  return unit === undefined ? undefined : Date.now() + Number(count) * UNIT_MS[unit]!;
}

/** One call, from its head to its status. */
class LeanCall {
  readonly metadata: ReadMetadata;
  readonly #stream: ServerHttp2Stream;
  readonly #deadline: number;
  readonly #options: LeanGrpcOptions;
  readonly #head: GrpcHead;
  readonly #gone = new AbortController();
  readonly #messages: GrpcMessages;
  #message: Buffer | undefined;
  #isAnswered = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param deadline in milliseconds of the wall clock */
  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    deadline: number,
    options: LeanGrpcOptions,
  ) {
    this.metadata = {
      get: (name) => valuesOf(headers[name]),
      getMap: () => headers as Record<string, string>,
    };
    this.#stream = stream;
    this.#deadline = deadline;
    this.#options = options;
    this.#head = options.calls.newHead(this.metadata);
    const { intake, messageBytesMax: bytesMax } = options;
    this.#messages = new GrpcMessages({ bytesMax, intake }, (error) => this.#refuse(error));
  }

  getDeadline(): number {
    return this.#deadline;
  }

  /** The key first: until then HTTP/2 lets in 64 KiB of the message. */
  begin(): void {
    const stream = this.#stream;
    stream.on('error', () => {}); // `close` follows
    stream.on('close', () => this.#closed());
    const { calls } = this.#options;
    this.#await();
    try {
      const caller = calls.caller(this.metadata, 'serving.infer');
      if (caller instanceof Promise)
        caller.then((known) => this.#read(known)).catch((error: unknown) => this.#refuse(error));
      else this.#read(caller);
    } catch (error) {
      this.#refuse(error);
    }
  }

  #await(): void {
    if (this.#deadline === Number.POSITIVE_INFINITY) return;
    const leftMs = Math.min(Math.max(0, this.#deadline - Date.now()), TIMER_MS_MAX);
    this.#timer = setTimeout(() => {
      this.#end({ code: STATUS.deadlineExceeded, details: 'Deadline exceeded' });
      this.#gone.abort(GIVEN_UP);
    }, leftMs);
  }

  #read(caller: Caller): void {
    if (this.#isAnswered) return; // over, or gone, while its key was looked up
    const stream = this.#stream;
    stream.on('data', (data: Buffer) => {
      for (const message of this.#messages.write(data)) {
        if (this.#message)
          this.#end({ code: STATUS.unimplemented, details: 'A second message of a call that has one' });
        this.#message = message;
      }
    });
    stream.on('end', () => {
      if (!this.#isAnswered) this.#taken(caller);
    });
  }

  /** The client has sent all that it sends. */
  #taken(caller: Caller): void {
    const request = this.#request();
    if (!request) return;
    const { calls, method } = this.#options;
    const parent = calls.isTraced ? sampleAhead() : undefined;
    const { requestId } = this.#head;
    if (parent) withSpan(parent, method.path, requestId, (span) => void this.#infer(request, caller, span));
    else void this.#infer(request, caller);
  }

  /** Undefined when the call has ended for what it sent. */
  #request(): ModelInferRequest | undefined {
    const message = this.#message;
    if (!message) this.#end({ code: STATUS.unimplemented, details: 'A call without its message' });
    else if (message[0] !== 0)
      this.#end({ code: STATUS.internal, details: 'A compressed message without grpc-encoding' });
    else {
      try {
        return this.#options.method.requestDeserialize(message.subarray(HEAD_BYTES)) as ModelInferRequest;
      } catch {
        this.#end({ code: STATUS.internal, details: 'Error deserializing request' });
      }
    }
    return undefined;
  }

  async #infer(request: ModelInferRequest, caller: Caller, span?: Span): Promise<void> {
    const { inference, calls } = this.#options;
    try {
      const answer = await inference.answer(request, this, caller, this.#gone.signal, this.#head.onQuota);
      this.#answer(answer);
      if (span) endSpan(span, 0);
    } catch (error) {
      const fault = calls.faultOf(error, this.#head);
      this.#end(fault);
      if (span) endSpan(span, fault.code);
    }
  }

  #answer(answer: ModelInferResponse): void {
    if (this.#isOver()) return;
    const message = this.#options.method.responseSerialize(answer);
    const framed = Buffer.allocUnsafe(HEAD_BYTES + message.length);
    framed[0] = 0;
    framed.writeUInt32BE(message.length, 1);
    message.copy(framed, HEAD_BYTES);
    this.#isAnswered = true;
    const stream = this.#stream;
    const head = [...ANSWER_HEAD];
    this.#head.tell((name, value) => void head.push(name, value));
    stream.respond(head as unknown as OutgoingHttpHeaders, WITH_TRAILERS); // a list since Node 24.7, which its types do not say
    stream.on('wantTrailers', () => stream.sendTrailers(ANSWERED));
    stream.end(framed);
  }

  /** Ended by its head, or by more than may come. */
  #refuse(error: unknown): void {
    if (this.#isAnswered) return;
    const { calls, method } = this.#options;
    this.#end(calls.refusalOf(error, method.path, this.metadata, this.#head));
  }

  /** A status in the place of an answer; what still comes is passed over. */
  #end({ code, details, metadata }: Pick<GrpcFault, 'code' | 'details'> & Partial<GrpcFault>): void {
    if (this.#isOver()) return;
    this.#isAnswered = true;
    const head: OutgoingHttpHeaders = {
      ':status': 200,
      'content-type': 'application/grpc+proto',
      'grpc-status': code,
      'grpc-message': encodeURI(details.toWellFormed()),
      ...metadata?.toHttp2Headers(),
    };
    if (!metadata)
      this.#head.tell((name, value) => {
        head[name] = value;
      });
    this.#stream.respond(head, { endStream: true });
    this.#messages.end();
    this.#stream.resume();
  }

  /** A stream may be gone before it says so by `close`. */
  #isOver(): boolean {
    return this.#isAnswered || this.#stream.destroyed || this.#stream.closed;
  }

  #closed(): void {
    clearTimeout(this.#timer);
    this.#messages.end();
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#gone.abort(GIVEN_UP);
  }
}

function valuesOf(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}
