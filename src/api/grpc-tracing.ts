import {
  type Context,
  context,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
} from '@opentelemetry/api';
import { sampleAhead } from '../telemetry/sampling.ts';
import type { ReadMetadata } from './grpc-head.ts';

const tracer = trace.getTracer('aios.api');
const METADATA: TextMapGetter<ReadMetadata> = {
  get: (metadata, name) => metadata.get(name)[0]?.toString(),
  keys: (metadata) => Object.keys(metadata.getMap()),
};
const UNKNOWN = 2;
/** Statuses for which the server is to blame: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS (OpenTelemetry, "Semantic conventions for gRPC"). */
const SERVER_FAULTS = new Set([UNKNOWN, 4, 12, 13, 14, 15]);

/** Whether anything records spans: asked once, when the door opens. */
export function recordsSpans(): boolean {
  return isSpanContextValid(tracer.startSpan('probe').spanContext());
}

/** The context of a call that is traced: by its caller's `traceparent`, or drawn by chance. Most are not, and get no span. */
export function parentOf(metadata: ReadMetadata): Context | undefined {
  if (metadata.get('traceparent').length === 0) return sampleAhead();
  const parent = propagation.extract(ROOT_CONTEXT, metadata, METADATA);
  return parent === ROOT_CONTEXT ? undefined : parent;
}

/**
 * Starts the span of a call, or of a message in a stream, and does the work under it. Who does the work ends it with `endSpan`.
 *
 * @param path `/service/method`
 */
export function withSpan<Result>(
  parent: Context,
  path: string,
  requestId: string,
  work: (span: Span) => Result,
): Result {
  const name = path.slice(1);
  const at = name.lastIndexOf('/');
  const attributes = {
    'rpc.system': 'grpc',
    'rpc.service': name.slice(0, at),
    'rpc.method': name.slice(at + 1),
    'rpc.grpc.response.metadata.x-request-id': [requestId],
  };
  const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
  return context.with(trace.setSpan(parent, span), work, undefined, span);
}

/** @param code of the status: 0 is OK */
export function endSpan(span: Span, code: number | undefined): void {
  const status = code ?? UNKNOWN;
  span.setAttribute('rpc.grpc.status_code', status);
  if (SERVER_FAULTS.has(status)) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
