import type { Metadata, ServerDuplexStream } from '@grpc/grpc-js';
import { AiosError } from '../kernel/errors.ts';
import type { ModelInferRequest, ModelInferResponse } from '../serving/protocol/grpc-messages.ts';

/** Requests of one stream that are under way or not taken by the client: past it the client's are not read. */
const STREAM_OPEN_MAX = 64;

export interface StreamAnswer {
  readonly error_message: string;
  readonly infer_response: Partial<ModelInferResponse>;
}

/** A stream of inferences, as grpc-js hands it over. */
export type InferenceCall = ServerDuplexStream<ModelInferRequest, StreamAnswer>;

/** How the requests of a stream are answered. */
export interface StreamWork {
  /** The answer to a request, in which its faults are told. What it throws ends the stream. */
  answer(request: ModelInferRequest): Promise<StreamAnswer>;
  /** A request has its answer, and the client has room for it. */
  answered(): void;
  /** Everything was answered. */
  finished(): void;
  /** Ends the stream with the status of an error. */
  fail(error: unknown): void;
  /** Set once the stream has ended, however. */
  readonly signal: AbortSignal;
}

/** Bounds the streams of a door: each may stay for days. */
export class StreamPlaces {
  readonly #max: number;
  #open = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /**
   * Holds a place until the call has ended, which grpc-js tells as `cancelled` of every call.
   *
   * @throws AiosError `request.overloaded`
   */
  take(call: { once(event: 'cancelled', listener: () => void): unknown; readonly metadata: Metadata }): void {
    if (this.#open >= this.#max)
      throw new AiosError('request.overloaded', {
        detail: `${this.#max} streams of inferences are open.`,
        extensions: { limitName: 'inferenceStreamsMax', limit: this.#max },
      });
    this.#open++;
    call.once('cancelled', () => void this.#open--);
  }
}

/**
 * Reads requests and writes their answers in the order in which they came. An answer that the client does not take holds up those behind it,
 * and, once `STREAM_OPEN_MAX` wait, the reading of requests: what one stream holds in memory has a bound.
 */
export function answerInOrder(call: InferenceCall, work: StreamWork): void {
  const { signal } = work;
  let open = 0;
  let written = Promise.resolve();
  let isOver = false;
  const write = async (answer: Promise<StreamAnswer>): Promise<void> => {
    try {
      const message = await answer;
      if (isOver || signal.aborted) return;
      if (!call.write(message)) await drained(call, signal);
      work.answered();
    } catch (error) {
      if (isOver || signal.aborted) return;
      isOver = true;
      work.fail(error);
    }
    if (open-- === STREAM_OPEN_MAX) call.resume();
  };
  call.on('data', (request: ModelInferRequest) => {
    if (++open >= STREAM_OPEN_MAX) call.pause();
    const answer = work.answer(request);
    answer.catch(() => {}); // told in its turn
    written = written.then(() => write(answer));
  });
  call.on('end', () => {
    void written.then(() => {
      if (isOver) return;
      work.finished();
      call.end();
    });
  });
}

/** Resolves when the client has taken what was written, or the stream is over. */
function drained(call: InferenceCall, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
  });
}
