import type { Metadata, ServerUnaryCall, status as Status, sendUnaryData } from '@grpc/grpc-js';
import { AiosError, toAiosError } from '../kernel/errors.ts';
import { valueFault } from '../store/value-fault.ts';
import type { Status as GrpcStatus } from './grpc-admission.ts';
import { GrpcHead, headOf, type ReadMetadata } from './grpc-head.ts';
import { endSpan, parentOf, recordsSpans, withSpan } from './grpc-tracing.ts';
import { type OnFault, quotaOf, retryAfterSeconds } from './problems.ts';
import { REQUEST_ID } from './request-id.ts';
import type { Caller } from './routes.ts';

/** What the door needs of the access module. */
export interface GrpcAccess {
  /** The caller behind the `authorization` of a call; undefined without one. Throws when it is given and wrong. */
  authenticate(authorization: string | undefined): Promise<Caller | undefined> | Caller | undefined;
  can(caller: Caller, permission: string): boolean;
}

/** Statuses of HTTP as those of gRPC (google.rpc.Code). */
const STATUS: Readonly<Record<number, keyof typeof Status>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ABORTED',
  413: 'RESOURCE_EXHAUSTED',
  422: 'INVALID_ARGUMENT',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  501: 'UNIMPLEMENTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

/** The library, which is loaded when the door opens. */
export interface GrpcLibrary {
  readonly Metadata: typeof Metadata;
  readonly status: typeof Status;
}

/** An error as a status. */
export interface GrpcFault {
  readonly code: number;
  /** `code: detail`, as in the problems of HTTP. */
  readonly details: string;
  /** `aios-code`, the id of the call, what is left of a limit, and when to come again. */
  readonly metadata: Metadata;
}

type UnaryHandler<Request, Response> = (
  call: ServerUnaryCall<Request, Response>,
  done: sendUnaryData<Response>,
) => void;

type Headed = Pick<ServerUnaryCall<unknown, unknown>, 'metadata' | 'sendMetadata'>;
type Streamed = Headed & { emit(event: 'error', fault: GrpcFault): unknown };

/** What every call goes through: its trace, who asks, whether they may, and errors as statuses. */
export class GrpcCalls {
  /** False as long as nothing records spans: then no call looks for the trace of its caller. */
  readonly isTraced = recordsSpans();
  readonly #library: GrpcLibrary;
  readonly #access: GrpcAccess;
  readonly #onFault: OnFault;
  readonly #idCharsMax: number;

  /** @param requestIdCharsMax what an id of a caller may have */
  constructor(library: GrpcLibrary, access: GrpcAccess, onFault: OnFault, requestIdCharsMax: number) {
    this.#library = library;
    this.#access = access;
    this.#onFault = onFault;
    this.#idCharsMax = requestIdCharsMax;
  }

  /** What is told of a call that grpc-js answers. */
  headOf(metadata: Metadata): GrpcHead {
    return headOf(metadata, this.#idCharsMax);
  }

  /** What is told of a call that is answered past grpc-js. */
  newHead(metadata: ReadMetadata): GrpcHead {
    return new GrpcHead(metadata, this.#idCharsMax);
  }

  /** A status of grpc-js' own (a deadline that has passed, a message that cannot be read) with what is told of the call. */
  identified(status: GrpcStatus, of: Metadata): GrpcStatus {
    if (status.metadata && status.metadata.get(REQUEST_ID).length > 0) return status;
    const metadata = status.metadata?.clone() ?? new this.#library.Metadata();
    this.headOf(of).tell((name, value) => metadata.set(name, value));
    return { ...status, metadata };
  }

  /** Sends what is told of a call, before its first answer. */
  begin(call: Headed): void {
    const metadata = new this.#library.Metadata();
    this.headOf(call.metadata).tell((name, value) => metadata.set(name, value));
    call.sendMetadata(metadata);
  }

  /** A handler of one request and one answer. `public` needs no caller. */
  unary<Request, Response>(
    permission: string,
    handle: (
      request: Request,
      call: ServerUnaryCall<Request, Response>,
      caller: Caller,
    ) => Response | Promise<Response>,
  ): UnaryHandler<Request, Response> {
    const answer: UnaryHandler<Request, Response> = (call, done) => {
      const fail = (error: unknown) => done(this.faultOf(error, this.headOf(call.metadata)));
      const answered = (value: Response) => {
        this.begin(call);
        done(null, value);
      };
      const go = (caller: Caller) => {
        const found = handle(call.request, call, caller);
        if (found instanceof Promise) found.then(answered, fail);
        else answered(found);
      };
      try {
        const found = this.caller(call.metadata, permission);
        if (found instanceof Promise) found.then(go).catch(fail);
        else go(found);
      } catch (error) {
        fail(error);
      }
    };
    return this.isTraced ? this.#traced(answer) : answer;
  }

  /** A handler of a stream that is open to all. */
  streaming<Call extends Streamed>(handle: (call: Call) => Promise<void>): (call: Call) => void {
    return (call) => {
      this.begin(call);
      handle(call).catch((error: unknown) =>
        call.emit('error', this.faultOf(error, this.headOf(call.metadata))),
      );
    };
  }

  /** @throws AiosError `access.unauthenticated`, `access.forbidden` */
  caller(metadata: Pick<Metadata, 'get'>, permission: string): Caller | Promise<Caller> {
    if (permission === 'public') return NOBODY;
    const [authorization] = metadata.get('authorization');
    const found = this.#access.authenticate(authorization === undefined ? undefined : String(authorization));
    if (found instanceof Promise) return found.then((caller) => this.#allowed(caller, permission));
    return this.#allowed(found, permission);
  }

  /** An error as a status. What was not foreseen goes to the log, not to the caller. */
  faultOf(error: unknown, head: GrpcHead): GrpcFault {
    const problem = valueFault(error) ?? toAiosError(error);
    if (problem.status >= 500) this.#onFault(problem, head.requestId);
    const told = problem.code === 'internal' ? new AiosError('internal') : problem;
    const metadata = new this.#library.Metadata();
    metadata.set('aios-code', told.code);
    head.tell((name, value) => metadata.set(name, value), quotaOf(problem));
    const afterSeconds = retryAfterSeconds(problem);
    if (afterSeconds !== undefined) metadata.set('retry-after', String(afterSeconds));
    const { retryAfterMs } = told.extensions;
    // Read by the retries of gRPC's own clients (grpc/proposal, A6).
    if (typeof retryAfterMs === 'number')
      metadata.set('grpc-retry-pushback-ms', String(Math.ceil(retryAfterMs)));
    const code = this.#library.status[STATUS[told.status] ?? 'INTERNAL'];
    return { code, details: `${told.code}: ${told.message}`, metadata };
  }

  /** The status of a call that was refused by its head, with the span that it would have had. */
  refusalOf(error: unknown, path: string, metadata: ReadMetadata, head: GrpcHead): GrpcFault {
    const fault = this.faultOf(error, head);
    const parent = this.isTraced ? parentOf(metadata) : undefined;
    if (parent) withSpan(parent, path, head.requestId, (span) => endSpan(span, fault.code));
    return fault;
  }

  /** A span for each call that is traced, under its caller's, with the status that it ends with. */
  #traced<Request, Response>(answer: UnaryHandler<Request, Response>): UnaryHandler<Request, Response> {
    return (call, done) => {
      const parent = parentOf(call.metadata);
      if (parent === undefined) return answer(call, done);
      withSpan(parent, call.getPath(), this.headOf(call.metadata).requestId, (span) =>
        answer(call, (error, value) => {
          endSpan(span, error ? error.code : 0);
          done(error, value);
        }),
      );
    };
  }

  #allowed(caller: Caller | undefined, permission: string): Caller {
    if (!caller) throw new AiosError('access.unauthenticated');
    if (this.#access.can(caller, permission)) return caller;
    throw new AiosError('access.forbidden', {
      detail: `${caller.name} has the roles ${caller.roles.join(', ') || 'none'}; this needs the permission ${permission}.`,
    });
  }
}

const NOBODY: Caller = { id: 'nobody', name: 'nobody', kind: 'system', roles: [], groups: [] };
