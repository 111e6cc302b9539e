import { AiosError, toAiosError } from '../../kernel/errors.ts';
import { isObject, type JsonObject } from '../../kernel/json.ts';
import type { MicroUsd } from '../../kernel/money.ts';
import { sampleOfBody } from './call-sample.ts';
import type { Target } from './endpoint.ts';
import { StreamedAnswer } from './streamed-answer.ts';
import { NO_USAGE, type Usage } from './usage.ts';

const DETAIL_CHARS_MAX = 1_000;

/** A call that was drawn for the request log, as that keeps it. */
export interface LoggedCall {
  readonly model: string;
  readonly version: number;
  readonly digest: string;
  readonly status: 'answered' | 'failed';
  readonly cached: 'hit' | undefined;
  readonly caller: { readonly kind: string; readonly id: string };
  readonly step: { readonly runId: string; readonly stepKey: string } | undefined;
  readonly latencyMs: number;
  readonly costMicroUsd: MicroUsd;
  readonly redacted: readonly string[];
  readonly request: JsonObject;
  /** What a stream had said until it was cut, where it was. */
  readonly answer: JsonObject | null;
  readonly error: JsonObject | null;
  readonly truncated: boolean;
  /** Members of their own: tokens, and the servers that were asked. */
  readonly further: JsonObject;
}

/** Where calls that are drawn go. Never throws and never waits. */
export interface CallLogPort {
  /** @param entry made only when there is room for it */
  keep(entry: () => LoggedCall): void;
}

/** The bill of a call, as far as the log tells it. */
interface Billed {
  readonly usage: Usage;
  readonly amountMicroUsd: MicroUsd;
}

interface RecordedCall {
  readonly operation: 'chat' | 'embeddings';
  readonly model: string;
  readonly version: number;
  readonly digest: string;
  readonly caller: { readonly kind: string; readonly id: string };
  readonly step: { readonly runId: string; readonly stepKey: string } | undefined;
  readonly request: JsonObject;
  readonly redact: readonly string[];
  readonly bytesMax: number;
}

interface Attempt {
  readonly target: Target;
  readonly startedMs: number;
  ms?: number;
  error?: string;
}

/** What becomes of a call that was drawn for the request log: there for such calls alone, so that the others pay nothing. */
export class CallRecord {
  readonly #call: RecordedCall;
  readonly #log: CallLogPort;
  readonly #startedMs = performance.now();
  readonly #attempts: Attempt[] = [];
  #bill: Billed | undefined;
  #firstChunkMs: number | undefined;

  constructor(call: RecordedCall, log: CallLogPort) {
    this.#call = call;
    this.#log = log;
  }

  opened(bill: Billed): void {
    this.#bill = bill;
  }

  /** One try at one server. */
  async attempt<T>(target: Target, answering: Promise<T>): Promise<T> {
    const attempt: Attempt = { target, startedMs: performance.now() };
    this.#attempts.push(attempt);
    try {
      return await answering;
    } catch (error) {
      attempt.error = toAiosError(error).code;
      throw error;
    } finally {
      attempt.ms = performance.now() - attempt.startedMs;
    }
  }

  /** The same answer, which is logged when it is there. */
  async whole<Answer extends { readonly body: JsonObject; readonly cache: 'hit' | 'miss' | undefined }>(
    answering: Promise<Answer>,
  ): Promise<Answer> {
    try {
      const answer = await answering;
      this.end(this.#call.operation === 'chat' ? answer.body : outline(answer.body), undefined, answer.cache);
      return answer;
    } catch (error) {
      this.end(undefined, error);
      throw error;
    }
  }

  /** The same chunks; what they said is logged as one answer when they end, or are cut. */
  async *streamed(
    chunks: AsyncIterable<JsonObject>,
    cache: 'hit' | 'miss' | undefined,
  ): AsyncGenerator<JsonObject, void> {
    const answer = new StreamedAnswer();
    let fault: unknown = new AiosError('serving.canceled', { detail: 'The caller left the stream.' });
    try {
      for await (const chunk of chunks) {
        this.#firstChunkMs ??= performance.now() - this.#startedMs;
        answer.take(chunk);
        yield chunk;
      }
      fault = undefined;
    } catch (error) {
      fault = error;
      throw error;
    } finally {
      this.end(answer.toJson(), fault, cache);
    }
  }

  /** Hands the call over to the log, after the caller has what it waits for. */
  end(answer: JsonObject | undefined, error: unknown, cache?: 'hit' | 'miss'): void {
    const latencyMs = performance.now() - this.#startedMs;
    setImmediate(() => this.#log.keep(() => this.#entry(answer, error, cache, latencyMs)));
  }

  #entry(
    answer: JsonObject | undefined,
    error: unknown,
    cache: 'hit' | 'miss' | undefined,
    latencyMs: number,
  ): LoggedCall {
    const { operation, request, redact, bytesMax, ...call } = this.#call;
    const asked = sampleOfBody(request, redact, bytesMax);
    const said = answer && sampleOfBody(answer, redact, bytesMax);
    return {
      ...call,
      status: error === undefined ? 'answered' : 'failed',
      cached: cache === 'hit' ? 'hit' : undefined,
      latencyMs,
      costMicroUsd: this.#bill?.amountMicroUsd ?? 0,
      redacted: redact,
      request: asked.body,
      answer: said?.body ?? null,
      error: error === undefined ? null : faultOf(error, redact),
      truncated: asked.truncated || said?.truncated === true,
      further: { operation, stream: request.stream === true, ...this.#routed() },
    };
  }

  #routed(): JsonObject {
    const { inputTokens, cachedTokens, outputTokens, estimated } = this.#bill?.usage ?? NO_USAGE;
    return {
      usage: { inputTokens, cachedTokens, outputTokens, estimated },
      firstChunkMs: this.#firstChunkMs ?? null,
      attempts: this.#attempts.map(({ target, ms, error }) => ({
        server: new URL(target.url).host,
        model: target.model,
        ms: ms ?? null,
        error: error ?? null,
      })),
    };
  }
}

/** Vectors are long and tell nobody anything: how many and how long they are. */
function outline({ data, ...rest }: JsonObject): JsonObject {
  const vectors = Array.isArray(data) ? data : [];
  const [first] = vectors;
  const dimensions = isObject(first) && Array.isArray(first.embedding) ? first.embedding.length : 0;
  return { ...rest, vectors: vectors.length, dimensions };
}

/** What an error says may quote what it is about. */
function faultOf(error: unknown, redact: readonly string[]): JsonObject {
  const { code, message } = toAiosError(error);
  return redact.length > 0 ? { code } : { code, detail: message.slice(0, DETAIL_CHARS_MAX) };
}
