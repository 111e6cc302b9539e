import { type Dispatcher, errors } from 'undici';
import { AiosError, type ErrorOptions } from '../kernel/errors.ts';
import type { Method } from './connector.ts';

export interface ExchangeRequest {
  origin: string;
  /** With the query. */
  path: string;
  method: Method;
  headers: Record<string, string>;
  body: string | null;
  timeoutMs: number;
  responseBytesMax: number;
  signal: AbortSignal | undefined;
}

export interface ExchangeResponse {
  status: number;
  headers: Record<string, string>;
  text: string;
}

/**
 * Sends one request and reads its whole response. What fails says whether the request can have arrived.
 *
 * @throws AiosError `connectors.unreachable` or `connectors.canceled` when nothing was sent, `connectors.outcome_unknown` when something was
 * and no whole answer came, `connectors.egress_refused`, `connectors.response_too_large`
 */
export function exchange(dispatcher: Dispatcher, request: ExchangeRequest): Promise<ExchangeResponse> {
  return new Promise((resolve, reject) => {
    const { signal, timeoutMs } = request;
    if (signal?.aborted) {
      reject(new AiosError('connectors.canceled'));
      return;
    }
    const handler = new ResponseReader(request.responseBytesMax, settle);
    const timer = setTimeout(() => handler.stop('timeout', `No answer within ${timeoutMs} ms.`), timeoutMs);
    const cancel = () => handler.stop('cancel', 'The call was canceled.');
    signal?.addEventListener('abort', cancel, { once: true });
    function settle(result: ExchangeResponse | AiosError): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
      if (result instanceof AiosError) reject(result);
      else resolve(result);
    }
    const { origin, path, method, headers, body } = request;
    dispatcher.dispatch({ origin, path, method, headers, body }, handler);
  });
}

class ResponseReader implements Dispatcher.DispatchHandler {
  readonly #bytesMax: number;
  readonly #settle: (result: ExchangeResponse | AiosError) => void;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #status = 0;
  #headers: Record<string, string> = {};
  #controller: Dispatcher.DispatchController | undefined;
  #done = false;

  constructor(bytesMax: number, settle: (result: ExchangeResponse | AiosError) => void) {
    this.#bytesMax = bytesMax;
    this.#settle = settle;
  }

  /** Called when the connection stands and the request is about to be written: from here on it may have arrived. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#done) controller.abort(new Error('given up before it was sent'));
    else this.#controller = controller;
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status;
    for (const [name, value] of Object.entries(headers))
      if (value !== undefined)
        this.#headers[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes <= this.#bytesMax) {
      this.#chunks.push(chunk);
      return;
    }
    this.#end(
      new AiosError('connectors.response_too_large', {
        detail: `The answer (status ${this.#status}) has more than ${this.#bytesMax} bytes.`,
        extensions: { limitName: 'connectorResponseBytesMax', limit: this.#bytesMax },
      }),
    );
  }

  onResponseEnd(): void {
    const text = Buffer.concat(this.#chunks).toString('utf8');
    this.#end({ status: this.#status, headers: this.#headers, text });
  }

  onResponseError(_: unknown, error: Error): void {
    const code = (error as { code?: string }).code;
    const detail = code && !error.message.includes(code) ? `${code}: ${error.message}` : error.message;
    if (error instanceof AiosError) this.#end(error);
    else if (error instanceof errors.InvalidArgumentError)
      this.#end(new AiosError('connectors.input_invalid', { detail, cause: error }));
    else this.#end(this.#noAnswer({ detail, cause: error }));
  }

  stop(reason: 'timeout' | 'cancel', detail: string): void {
    if (reason === 'timeout') this.#end(this.#noAnswer({ detail }));
    else if (!this.#controller) this.#end(new AiosError('connectors.canceled', { detail }));
    else this.#end(this.#noAnswer({ detail, extensions: { canceled: true } }));
  }

  #noAnswer(options: ErrorOptions): AiosError {
    return new AiosError(this.#controller ? 'connectors.outcome_unknown' : 'connectors.unreachable', options);
  }

  #end(result: ExchangeResponse | AiosError): void {
    if (this.#done) return;
    this.#done = true;
    if (result instanceof AiosError && this.#controller && !this.#controller.aborted)
      this.#controller.abort(result);
    this.#settle(result);
  }
}
