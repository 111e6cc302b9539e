import type { ServerDuplexStream, ServerUnaryCall } from '@grpc/grpc-js';
import type { Span } from '@opentelemetry/api';
import { AiosError } from '../kernel/errors.ts';
import { inferFromGrpc, inferToGrpc } from '../serving/protocol/grpc-infer.ts';
import type { ModelInferRequest, ModelInferResponse } from '../serving/protocol/grpc-messages.ts';
import { STICKY_HEADER } from '../serving/protocol/infer-parameters.ts';
import type { Serving } from '../serving/traffic/serving.ts';
import type { GrpcCalls } from './grpc-call.ts';
import { endSpan, parentOf, type TracedCall, withSpan } from './grpc-tracing.ts';
import type { Caller } from './routes.ts';

/** Requests of one stream that are under way at once: past it the client's are not read. */
const STREAM_OPEN_MAX = 64;

interface StreamAnswer {
  readonly error_message: string;
  readonly infer_response: Partial<ModelInferResponse>;
}
type Cancelable = Pick<ServerUnaryCall<unknown, unknown>, 'getDeadline' | 'metadata'> & {
  on(event: 'cancelled', listener: () => void): unknown;
} & TracedCall;

/** Inferences by gRPC: one call, or a stream of them whose answers come in the order of the requests. */
export class GrpcInference {
  readonly #serving: Pick<Serving, 'infer'>;
  readonly #calls: GrpcCalls;

  constructor(serving: Pick<Serving, 'infer'>, calls: GrpcCalls) {
    this.#serving = serving;
    this.#calls = calls;
  }

  readonly infer = async (
    request: ModelInferRequest,
    call: ServerUnaryCall<ModelInferRequest, ModelInferResponse>,
    caller: Caller,
  ): Promise<ModelInferResponse> => {
    const patience = new Patience(call);
    const answer = await this.#infer(request, call, caller, patience.signal);
    patience.isAnswered = true;
    return answer;
  };

  readonly stream = (call: ServerDuplexStream<ModelInferRequest, StreamAnswer>): void => {
    const fail = (error: unknown) => call.emit('error', this.#calls.faultOf(error));
    try {
      const caller = this.#calls.caller(call.metadata, 'serving.infer');
      if (caller instanceof Promise) caller.then((known) => this.#read(call, known)).catch(fail);
      else this.#read(call, caller);
    } catch (error) {
      fail(error);
    }
  };

  #read(call: ServerDuplexStream<ModelInferRequest, StreamAnswer>, caller: Caller): void {
    const patience = new Patience(call);
    const { signal } = patience;
    let open = 0;
    let written = Promise.resolve();
    call.on('data', (request: ModelInferRequest) => {
      if (++open >= STREAM_OPEN_MAX) call.pause();
      const answer = this.#answerTraced(request, call, caller, signal);
      written = written.then(async () => {
        const message = await answer;
        if (!signal.aborted) call.write(message);
        if (open-- === STREAM_OPEN_MAX) call.resume();
      });
    });
    const end = () => {
      patience.isAnswered = true;
      call.end();
    };
    call.on('end', () => void written.then(end));
  }

  /** Each message has a span of its own: it is a request with an outcome, and a stream may live for days. */
  #answerTraced(
    request: ModelInferRequest,
    call: Cancelable,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<StreamAnswer> {
    const parent = this.#calls.isTraced ? parentOf(call.metadata) : undefined;
    if (parent === undefined) return this.#answer(request, call, caller, signal);
    return withSpan(parent, call, (span) => this.#answer(request, call, caller, signal, span));
  }

  async #answer(
    request: ModelInferRequest,
    call: Cancelable,
    caller: Caller,
    signal: AbortSignal,
    span?: Span,
  ): Promise<StreamAnswer> {
    try {
      const infer_response = await this.#infer(request, call, caller, signal);
      if (span) endSpan(span, 0);
      return { error_message: '', infer_response };
    } catch (error) {
      // The stream lives on: the fault is that of one request.
      const { code, details } = this.#calls.faultOf(error);
      if (span) endSpan(span, code);
      const { id, model_name, model_version } = request;
      return { error_message: details, infer_response: { id, model_name, model_version } };
    }
  }

  async #infer(
    request: ModelInferRequest,
    call: Cancelable,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<ModelInferResponse> {
    const asked = inferFromGrpc(request);
    const { model, ref, inputs, timeoutMs, priority } = asked;
    const leftMs = millisecondsLeft(call.getDeadline());
    const deadlineMs = Math.min(timeoutMs ?? Number.POSITIVE_INFINITY, leftMs);
    if (deadlineMs <= 0) throw new AiosError('serving.timeout', { detail: 'The deadline has passed.' });
    const answer = await this.#serving.infer({
      model,
      ref,
      inputs,
      signal,
      priority,
      caller,
      stickyKey: asked.stickyKey ?? call.metadata.get(STICKY_HEADER)[0]?.toString(),
      deadlineMs: deadlineMs === Number.POSITIVE_INFINITY ? undefined : deadlineMs,
    });
    return inferToGrpc(asked, answer);
  }
}

/** A deadline of gRPC is a moment of the wall clock, or infinitely late. */
function millisecondsLeft(deadline: Date | number): number {
  return Number(deadline) - Date.now();
}

const GIVEN_UP = new Error('the client gave up the call'); // made once: the library ends every call so, and a stack costs 8 µs

/** A client that gave up, or went away, takes its request with it. One that has its answer ends in the same words. */
class Patience {
  readonly #controller = new AbortController();
  isAnswered = false;

  constructor(call: Cancelable) {
    call.on('cancelled', () => {
      if (!this.isAnswered) this.#controller.abort(GIVEN_UP);
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }
}
