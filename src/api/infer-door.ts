import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import { HEADER_LENGTH, readInference, writeInference } from '../serving/protocol/infer-http.ts';
import { STICKY_HEADER } from '../serving/protocol/infer-parameters.ts';
import { withError } from '../serving/protocol/open-inference.ts';
import { PlainInferences } from '../serving/protocol/plain-infer.ts';
import type { Serving } from '../serving/traffic/serving.ts';
import { sampleAhead } from '../telemetry/sampling.ts';
import type { InferHead } from './infer-head.ts';
import { problemAnswer } from './problems.ts';
import { type AccessPort, type Caller, requirePermission } from './routes.ts';

/** Where an answer goes. */
export interface InferReply {
  /** Set when the caller has gone: what still waits for it is canceled. */
  readonly signal: AbortSignal;
  /** `headers`: name, value, name, value, …, without the length. */
  send(status: number, headers: readonly string[], body: string | Uint8Array): void;
}

export interface InferDoorDependencies {
  readonly serving: Pick<Serving, 'infer'>;
  readonly access: AccessPort;
  readonly limits: Pick<Limits, 'requestBytesMax'>;
  onFault(error: AiosError): void;
}

const JSON_HEADERS = ['content-type', 'application/json; charset=utf-8'] as const;
const tracer = trace.getTracer('aios.api');

/**
 * Answers inferences without a web framework: the same permission, limits, problems and traces as its route, at a fraction of the cost
 * (decisions/0018). Who calls it has read the head and the whole body.
 */
export class InferDoor {
  readonly bodyBytesMax: number;
  readonly #serving: Pick<Serving, 'infer'>;
  readonly #access: AccessPort;
  readonly #onFault: (error: AiosError) => void;
  readonly #plain = new PlainInferences();

  constructor({ serving, access, limits, onFault }: InferDoorDependencies) {
    this.bodyBytesMax = limits.requestBytesMax;
    this.#serving = serving;
    this.#access = access;
    this.#onFault = onFault;
  }

  answer(head: InferHead, body: Buffer, reply: InferReply): void {
    try {
      const caller = this.#access.authenticate(head);
      if (caller instanceof Promise)
        caller.then(
          (found) => this.#admit(found, head, body, reply),
          (error: unknown) => this.#refuse(error, reply),
        );
      else this.#admit(caller, head, body, reply);
    } catch (error) {
      this.#refuse(error, reply);
    }
  }

  #admit(caller: Caller | undefined, head: InferHead, body: Buffer, reply: InferReply): void {
    try {
      const found = requirePermission(this.#access, caller, 'serving.infer');
      const parent = parentOf(head);
      if (parent) this.#traced(parent, found, head, body, reply);
      else this.#infer(found, head, body, reply);
    } catch (error) {
      this.#refuse(error, reply);
    }
  }

  #infer(
    caller: Caller,
    { address: { name, ref }, headers }: InferHead,
    body: Buffer,
    reply: InferReply,
  ): void {
    const headerLength = headers[HEADER_LENGTH] as string | undefined;
    const plain = headerLength === undefined ? this.#plain.read(body) : undefined;
    const request = plain ?? readInference(body, headerLength);
    const { inputs, timeoutMs: deadlineMs, priority } = request;
    const stickyKey = request.stickyKey ?? (headers[STICKY_HEADER] as string | undefined);
    const { signal } = reply;
    const call = { model: name, ref, inputs, deadlineMs, priority, stickyKey, caller, signal };
    this.#serving.infer(call).then(
      (answered) => {
        try {
          const answer = writeInference(request, answered);
          if (answer.headerBytes === undefined) reply.send(200, JSON_HEADERS, answer.json);
          else reply.send(200, binaryHeaders(answer.headerBytes), answer.bytes);
        } catch (error) {
          this.#refuse(error, reply);
        }
      },
      (error: unknown) => this.#refuse(error, reply),
    );
  }

  #refuse(error: unknown, reply: InferReply): void {
    const { problem, headers } = problemAnswer(error as Error, this.#onFault);
    reply.send(problem.status, headers, JSON.stringify(withError(problem.toProblem())));
  }

  #traced(parent: Context, caller: Caller, head: InferHead, body: Buffer, reply: InferReply): void {
    const route =
      head.address.ref === undefined ? '/v2/models/:name/infer' : '/v2/models/:name/versions/:version/infer';
    const attributes = { 'http.request.method': 'POST', 'http.route': route };
    const span = tracer.startSpan(`POST ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
    const told = new TracedReply(reply, span);
    context.with(trace.setSpan(parent, span), () => {
      try {
        this.#infer(caller, head, body, told);
      } catch (error) {
        this.#refuse(error, told);
      }
    });
  }
}

function binaryHeaders(jsonBytes: number): string[] {
  return ['content-type', 'application/octet-stream', HEADER_LENGTH, String(jsonBytes)];
}

/** The context of a request that is traced: by its caller's decision, or drawn by chance. Most are not, and cost nothing. */
function parentOf({ headers }: InferHead): Context | undefined {
  const { traceparent } = headers;
  if (traceparent === undefined) return sampleAhead();
  const parent = propagation.extract(ROOT_CONTEXT, headers);
  return parent === ROOT_CONTEXT ? undefined : parent;
}

/** Ends the span of a request with its answer. */
class TracedReply implements InferReply {
  readonly #reply: InferReply;
  readonly #span: Span;

  constructor(reply: InferReply, span: Span) {
    this.#reply = reply;
    this.#span = span;
  }

  get signal(): AbortSignal {
    return this.#reply.signal;
  }

  send(status: number, headers: readonly string[], body: string | Uint8Array): void {
    this.#span.setAttribute('http.response.status_code', status);
    if (status >= 500) this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#span.end();
    this.#reply.send(status, headers, body);
  }
}
