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
import type { Problem } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Quota } from '../kernel/quota.ts';
import { sampleAhead } from '../telemetry/sampling.ts';
import { type BodyIntake, UNASKED_BODY_BYTES_MAX } from './body-intake.ts';
import type { Cors } from './cors.ts';
import type { Admission, Handling, LeanDoor, Reply } from './lean/door.ts';
import type { RequestHead } from './lean/head.ts';
import { identified, type OnFault, problemAnswer } from './problems.ts';
import { givenRequestId } from './request-id.ts';
import { type AccessPort, type Caller, requirePermission } from './routes.ts';
import { identity } from './tracing.ts';

export interface GuardedDoorOptions {
  readonly access: AccessPort;
  readonly bodyBytesMax: number;
  /** Holds the bytes of large bodies. */
  readonly intake: BodyIntake;
  /** Which pages of other origins may call. */
  readonly cors: Cors;
  readonly limits: Pick<Limits, 'requestIdCharsMax'>;
  onFault: OnFault;
}

const tracer = trace.getTracer('aios.api');

/**
 * A lean door with what every route has: one permission, problems as errors, a span for a request that is traced; at a fraction of the cost
 * (decisions/0018). `Address` is what its addresses say.
 */
export abstract class GuardedDoor<Address> implements LeanDoor {
  abstract readonly prefix: string;
  readonly bodyBytesMax: number;
  protected abstract readonly permission: string;
  readonly #access: AccessPort;
  readonly #intake: BodyIntake;
  readonly #cors: Cors;
  readonly #limits: GuardedDoorOptions['limits'];
  readonly #onFault: OnFault;

  constructor({ access, bodyBytesMax, intake, cors, limits, onFault }: GuardedDoorOptions) {
    this.bodyBytesMax = bodyBytesMax;
    this.#access = access;
    this.#intake = intake;
    this.#cors = cors;
    this.#limits = limits;
    this.#onFault = onFault;
  }

  handlingOf(head: RequestHead): Handling | undefined {
    const address = this.addressOf(head);
    if (!address) return undefined;
    return {
      handle: (body, reply) => this.#answer(address, head, body, reply),
      admission: head.bodyBytes > UNASKED_BODY_BYTES_MAX ? this.#admission(head) : undefined,
      requestId: givenRequestId(head.headers, this.#limits.requestIdCharsMax),
      headers: this.#cors.headersOf(head.url, head.headers),
    };
  }

  /** What the address says; undefined for one that is not taken, and for those that are refused with a reason. */
  protected abstract addressOf(head: RequestHead): Address | undefined;

  /** The address as its route is written. */
  protected abstract routeOf(address: Address): string;

  /** Answers a caller who may. What it throws is answered, too. */
  protected abstract serve(
    caller: Caller,
    address: Address,
    head: RequestHead,
    body: Buffer,
    reply: Reply,
  ): void;

  /** The body of an answer that tells a problem. */
  protected abstract problemText(problem: Problem): string;

  /** @param quota of the limit that had counted the request */
  protected refuse(error: unknown, reply: Reply, quota?: Quota): void {
    const { requestId } = reply;
    const { problem, headers } = problemAnswer(error as Error, this.#onFault, requestId, quota);
    reply.send(problem.status, headers, this.problemText(identified(problem, requestId)));
  }

  #admission(head: RequestHead): Admission {
    return (reply, admitted) => {
      const take = (caller: Caller | undefined) => {
        requirePermission(this.#access, caller, this.permission);
        admitted(this.#intake.take(head.bodyBytes));
      };
      const refuse = (error: unknown) => this.refuse(error, reply);
      try {
        const caller = this.#access.authenticate(head);
        if (caller instanceof Promise) caller.then(take).catch(refuse);
        else take(caller);
      } catch (error) {
        refuse(error);
      }
    };
  }

  #answer(address: Address, head: RequestHead, body: Buffer, reply: Reply): void {
    try {
      const caller = this.#access.authenticate(head);
      if (caller instanceof Promise)
        caller.then(
          (found) => this.#admit(found, address, head, body, reply),
          (error: unknown) => this.refuse(error, reply),
        );
      else this.#admit(caller, address, head, body, reply);
    } catch (error) {
      this.refuse(error, reply);
    }
  }

  #admit(caller: Caller | undefined, address: Address, head: RequestHead, body: Buffer, reply: Reply): void {
    try {
      const found = requirePermission(this.#access, caller, this.permission);
      const parent = parentOf(head);
      if (parent) this.#traced(parent, found, address, head, body, reply);
      else this.serve(found, address, head, body, reply);
    } catch (error) {
      this.refuse(error, reply);
    }
  }

  #traced(
    parent: Context,
    caller: Caller,
    address: Address,
    head: RequestHead,
    body: Buffer,
    reply: Reply,
  ): void {
    const route = this.routeOf(address);
    const attributes = { ...identity(reply.requestId), 'http.request.method': 'POST', 'http.route': route };
    const span = tracer.startSpan(`POST ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
    const told = new TracedReply(reply, span);
    context.with(trace.setSpan(parent, span), () => {
      try {
        this.serve(caller, address, head, body, told);
      } catch (error) {
        this.refuse(error, told);
      }
    });
  }
}

/** The context of a request that is traced: by its caller's decision, or drawn by chance. Most are not, and cost nothing. */
function parentOf({ headers }: RequestHead): Context | undefined {
  const { traceparent } = headers;
  if (traceparent === undefined) return sampleAhead();
  const parent = propagation.extract(ROOT_CONTEXT, headers);
  return parent === ROOT_CONTEXT ? undefined : parent;
}

/** Ends the span of a request with its answer. */
class TracedReply implements Reply {
  readonly #reply: Reply;
  readonly #span: Span;

  constructor(reply: Reply, span: Span) {
    this.#reply = reply;
    this.#span = span;
  }

  get signal(): AbortSignal {
    return this.#reply.signal;
  }

  get requestId(): string {
    return this.#reply.requestId;
  }

  send(status: number, headers: readonly string[], body: string | Uint8Array): void {
    this.#span.setAttribute('http.response.status_code', status);
    if (status >= 500) this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#span.end();
    this.#reply.send(status, headers, body);
  }
}
