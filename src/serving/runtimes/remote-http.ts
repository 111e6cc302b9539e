import { type Dispatcher, request } from 'undici';
import { AiosError } from '../../kernel/errors.ts';
import { retryAfterMs } from '../../kernel/retry-after.ts';
import { ModelRefused, RunFailed, ServerBusy, ServerFailed } from './runtime.ts';

const WORDS_MAX = 500; // characters of what a server says about a fault

export interface HttpQuestion {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body?: string | Uint8Array;
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
  readonly signal: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/**
 * One request, one answer, one attempt; whoever waits may ask again. Redirects are not followed.
 *
 * @throws Error of the connection, AiosError `connectors.egress_refused`, Error for an answer that is too large or too late
 */
export async function ask(dispatcher: Dispatcher, question: HttpQuestion): Promise<HttpAnswer> {
  const { method, url, headers, body = null, timeoutMs, answerBytesMax, signal } = question;
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const answer = await request(url, {
      dispatcher,
      method,
      headers: { 'user-agent': 'aios', ...headers },
      body,
      signal: signal ? AbortSignal.any([signal, late]) : late,
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > answerBytesMax) throw new Error(`the answer has more than ${answerBytesMax} bytes`);
      chunks.push(chunk);
    }
    return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) };
  } catch (error) {
    if (late.aborted) throw new Error(`no answer within ${timeoutMs} ms`);
    const cause = (error as Error).cause;
    throw error instanceof AiosError || !(cause instanceof AiosError) ? error : cause;
  }
}

/** What a server says that does not know the model, or does not let us at it. */
const REFUSED = new Set([400, 401, 403, 404, 405, 410, 422]);

/** The answer, when it is one. @throws ModelRefused when the server does not have the model so, any other Error when it is not ready */
export function describedBy({ status, body }: HttpAnswer, what: string): Buffer {
  if (status >= 200 && status < 300) return body;
  const told = `${what}: status ${status}: ${wordsOf(body)}`;
  throw REFUSED.has(status) ? new ModelRefused(told) : new Error(told);
}

/** The answer of a run, when it is one. @throws RunFailed, ServerFailed, ServerBusy, or any other Error when the server is lost */
export function answeredBy({ status, headers, body }: HttpAnswer): Buffer {
  if (status >= 200 && status < 300) return body;
  const told = `status ${status}: ${wordsOf(body)}`;
  if (status === 429) throw new ServerBusy(told, status, retryAfterMs(headers['retry-after']));
  // 401 and 403 too: the start that follows reads the secrets again.
  const isLost = status < 400 || [401, 403, 404, 408, 502, 503, 504].includes(status);
  if (isLost) throw new Error(told);
  throw status >= 500 ? new ServerFailed(told, { upstreamStatus: status }) : new RunFailed(told);
}

function wordsOf(body: Buffer): string {
  return body.toString('utf8').slice(0, WORDS_MAX).trim() || 'without a word';
}
