import type { Metadata, ServerUnaryCall } from '@grpc/grpc-js';
import type { Span } from '@opentelemetry/api';
import { AiosError } from '../kernel/errors.ts';
import type { Quota } from '../kernel/quota.ts';
import { inferFromGrpc, inferToGrpc } from '../serving/protocol/grpc-infer.ts';
import type {
  InferParameter,
  ModelInferRequest,
  ModelInferResponse,
} from '../serving/protocol/grpc-messages.ts';
import { STICKY_HEADER } from '../serving/protocol/infer-parameters.ts';
import type { Serving } from '../serving/traffic/serving.ts';
import { messagesOf } from './grpc-admission.ts';
import type { GrpcCalls } from './grpc-call.ts';
import type { ReadMetadata } from './grpc-head.ts';
import { answerInOrder, type InferenceCall, type StreamAnswer, StreamPlaces } from './grpc-stream.ts';
import { endSpan, parentOf, withSpan } from './grpc-tracing.ts';
import { quotaHeaders } from './quota-headers.ts';
import { REQUEST_ID } from './request-id.ts';
import type { Caller } from './routes.ts';

type Cancelable = Pick<ServerUnaryCall<unknown, unknown>, 'getDeadline' | 'metadata' | 'getPath'> & {
  on(event: 'cancelled', listener: () => void): unknown;
};

/** Inferences by gRPC: one call, or a stream of them whose answers come in the order of the requests. */
export class GrpcInference {
  readonly #serving: Pick<Serving, 'infer'>;
  readonly #calls: GrpcCalls;
  readonly #places: StreamPlaces;

  /** @param streamsMax open at once */
  constructor(serving: Pick<Serving, 'infer'>, calls: GrpcCalls, streamsMax: number) {
    this.#serving = serving;
    this.#calls = calls;
    this.#places = new StreamPlaces(streamsMax);
  }

  readonly infer = async (
    request: ModelInferRequest,
    call: ServerUnaryCall<ModelInferRequest, ModelInferResponse>,
    caller: Caller,
  ): Promise<ModelInferResponse> => {
    const patience = new Patience(call);
    const { signal } = patience;
    const answer = await this.answer(
      request,
      call,
      caller,
      signal,
      this.#calls.headOf(call.metadata).onQuota,
    );
    patience.isAnswered = true;
    return answer;
  };

  readonly stream = (call: InferenceCall): void => {
    const head = this.#calls.headOf(call.metadata);
    const fail = (error: unknown) => call.emit('error', this.#calls.faultOf(error, head));
    const read = () => {
      if (call.cancelled) return; // gone while its key was looked up
      this.#places.take(call);
      this.#calls.begin(call);
      this.#read(call, fail);
    };
    try {
      const caller = this.#caller(call);
      if (caller instanceof Promise) caller.then(read).catch(fail);
      else read();
    } catch (error) {
      fail(error);
    }
  };

  #read(call: InferenceCall, fail: (error: unknown) => void): void {
    const patience = new Patience(call);
    const { signal } = patience;
    const messages = messagesOf(call.metadata);
    answerInOrder(call, {
      signal,
      fail,
      answer: (request) => this.#answerTraced(request, call, signal),
      answered: () => messages?.answered(),
      finished: () => {
        patience.isAnswered = true;
      },
    });
  }

  #caller(call: Cancelable): Caller | Promise<Caller> {
    return this.#calls.caller(call.metadata, 'serving.infer');
  }

  /** Each message has a span of its own: it is a request with an outcome, and a stream may live for days. */
  #answerTraced(request: ModelInferRequest, call: Cancelable, signal: AbortSignal): Promise<StreamAnswer> {
    const parent = this.#calls.isTraced ? parentOf(call.metadata) : undefined;
    if (parent === undefined) return this.#answer(request, call, signal);
    const { requestId } = this.#calls.headOf(call.metadata);
    return withSpan(parent, call.getPath(), requestId, (span) => this.#answer(request, call, signal, span));
  }

  /** Who asks is looked at with every message, as with every call: a key that was revoked ends the stream. */
  async #answer(
    request: ModelInferRequest,
    call: Cancelable,
    signal: AbortSignal,
    span?: Span,
  ): Promise<StreamAnswer> {
    let caller: Caller | undefined;
    let quota: Quota | undefined;
    const onQuota = (left: Quota) => {
      quota = left;
    };
    try {
      const found = this.#caller(call);
      caller = found instanceof Promise ? await found : found;
      const answer = await this.answer(request, call, caller, signal, onQuota);
      if (span) endSpan(span, 0);
      if (!quota) return { error_message: '', infer_response: answer };
      const parameters = { ...answer.parameters, ...quotaParameters(quota) };
      return { error_message: '', infer_response: { ...answer, parameters } };
    } catch (error) {
      const isShutOut = !caller && error instanceof AiosError && error.code.startsWith('access.');
      // The stream lives on: the fault is that of one request.
      const { code, details, metadata } = this.#calls.faultOf(error, this.#calls.headOf(call.metadata));
      if (span) endSpan(span, code);
      if (isShutOut) throw error;
      const { id, model_name, model_version } = request;
      const parameters = { ...(quota && quotaParameters(quota)), ...faultParameters(metadata) };
      return { error_message: details, infer_response: { id, model_name, model_version, parameters } };
    }
  }

  /**
   * One inference, however its call came.
   *
   * @param call its deadline, and its metadata where a sticky key may stand
   * @param onQuota told what the caller has left, where the model has a rate limit
   */
  async answer(
    request: ModelInferRequest,
    call: Pick<ServerUnaryCall<unknown, unknown>, 'getDeadline'> & { readonly metadata: ReadMetadata },
    caller: Caller,
    signal: AbortSignal,
    onQuota: (quota: Quota) => void,
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
      onQuota,
      stickyKey: asked.stickyKey ?? call.metadata.get(STICKY_HEADER)[0]?.toString(),
      deadlineMs: deadlineMs === Number.POSITIVE_INFINITY ? undefined : deadlineMs,
    });
    return inferToGrpc(asked, answer);
  }
}

/** A message of a stream has no metadata of its own: what a call says there stands in the parameters of its answer. */
function quotaParameters(quota: Quota): Record<string, InferParameter> {
  const headers = quotaHeaders([quota]);
  const parameters: Record<string, InferParameter> = {};
  for (let i = 0; i < headers.length; i += 2) parameters[headers[i]!] = { string_param: headers[i + 1]! };
  return parameters;
}

/** The same of a fault: its code, and when to ask again. The request id is that of the stream, which has told it. */
function faultParameters(metadata: Metadata): Record<string, InferParameter> {
  const told = Object.entries(metadata.getMap()).filter(([name]) => name !== REQUEST_ID);
  return Object.fromEntries(told.map(([name, value]) => [name, { string_param: String(value) }]));
}

/** A deadline of gRPC is a moment of the wall clock, or infinitely late. */
function millisecondsLeft(deadline: Date | number): number {
  return Number(deadline) - Date.now();
}

/** Why a call ends that nobody waits for. */
export const GIVEN_UP = new Error('the client gave up the call'); // made once: the library ends every call so, and a stack costs 8 µs

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
