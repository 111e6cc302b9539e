import type { Metadata, ServerUnaryCall, status as Status, sendUnaryData } from '@grpc/grpc-js';
import { AiosError, toAiosError } from '../kernel/errors.ts';
import { valueFault } from '../store/value-fault.ts';
import { endSpan, parentOf, recordsSpans, withSpan } from './grpc-tracing.ts';
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

/** What is read of the metadata of a call. */
export type ReadMetadata = Pick<Metadata, 'get' | 'getMap'>;

/** An error as a status. */
export interface GrpcFault {
  readonly code: number;
  /** `code: detail`, as in the problems of HTTP. */
  readonly details: string;
  /** `aios-code`, and when to come again. */
  readonly metadata: Metadata;
}

type UnaryHandler<Request, Response> = (
  call: ServerUnaryCall<Request, Response>,
  done: sendUnaryData<Response>,
) => void;

/** What every call goes through: its trace, who asks, whether they may, and errors as statuses. */
export class GrpcCalls {
  /** False as long as nothing records spans: then no call looks for the trace of its caller. */
  readonly isTraced = recordsSpans();
  readonly #library: GrpcLibrary;
  readonly #access: GrpcAccess;
  readonly #onFault: (error: AiosError) => void;

  constructor(library: GrpcLibrary, access: GrpcAccess, onFault: (error: AiosError) => void) {
    this.#library = library;
    this.#access = access;
    this.#onFault = onFault;
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
      const fail = (error: unknown) => done(this.faultOf(error));
      const go = (caller: Caller) => {
        const found = handle(call.request, call, caller);
        if (found instanceof Promise) found.then((value) => done(null, value), fail);
        else done(null, found);
      };
      try {
        const found = this.caller(call.metadata, permission);
        if (found instanceof Promise) found.then(go).catch(fail);
        else go(found);
      } catch (error) {
        fail(error);
      }
    };
    return this.isTraced ? traced(answer) : answer;
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
  faultOf(error: unknown): GrpcFault {
    const problem = valueFault(error) ?? toAiosError(error);
    if (problem.status >= 500) this.#onFault(problem);
    const told = problem.code === 'internal' ? new AiosError('internal') : problem;
    const metadata = new this.#library.Metadata();
    metadata.set('aios-code', told.code);
    const { retryAfterMs } = told.extensions;
    // Read by the retries of gRPC's own clients (grpc/proposal, A6).
    if (typeof retryAfterMs === 'number')
      metadata.set('grpc-retry-pushback-ms', String(Math.ceil(retryAfterMs)));
    const code = this.#library.status[STATUS[told.status] ?? 'INTERNAL'];
    return { code, details: `${told.code}: ${told.message}`, metadata };
  }

  /** The status of a call that was refused by its head, with the span that it would have had. */
  refusalOf(error: unknown, path: string, metadata: ReadMetadata): GrpcFault {
    const fault = this.faultOf(error);
    const parent = this.isTraced ? parentOf(metadata) : undefined;
    if (parent) withSpan(parent, { getPath: () => path }, (span) => endSpan(span, fault.code));
    return fault;
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

/** A span for each call that is traced, under its caller's, with the status that it ends with. */
function traced<Request, Response>(answer: UnaryHandler<Request, Response>): UnaryHandler<Request, Response> {
  return (call, done) => {
    const parent = parentOf(call.metadata);
    if (parent === undefined) return answer(call, done);
    withSpan(parent, call, (span) =>
      answer(call, (error, value) => {
        endSpan(span, error ? error.code : 0);
        done(error, value);
      }),
    );
  };
}
