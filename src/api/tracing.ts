import {
  type Attributes,
  context,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import type { FastifyInstance } from 'fastify';
import type { CloudEvent } from '../kernel/cloudevent.ts';

const tracer = trace.getTracer('aios.api');

declare module 'fastify' {
  interface FastifyRequest {
    span?: Span;
  }
}

/** The id of a request on its span, as OpenTelemetry names headers. */
export function identity(requestId: string): Attributes {
  return { 'http.response.header.x-request-id': [requestId] };
}

/** A span for each request, under the trace that its `traceparent` names, and around all that it does. Without a tracer nothing is added. */
export function traceRequests(server: FastifyInstance): void {
  // A tracer that records nothing gives spans without an identity.
  if (!isSpanContextValid(tracer.startSpan('probe').spanContext())) return;
  server.addHook('onRequest', (request, _reply, done) => {
    const { id, method, headers, routeOptions } = request;
    const parent = propagation.extract(ROOT_CONTEXT, headers);
    const route = routeOptions.url ?? 'none';
    const attributes = { ...identity(id), 'http.request.method': method, 'http.route': route };
    const span = tracer.startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
    request.span = span;
    context.with(trace.setSpan(parent, span), done);
  });
  server.addHook('onResponse', ({ span }, { statusCode }, done) => {
    span?.setAttribute('http.response.status_code', statusCode);
    if (statusCode >= 500) span?.setStatus({ code: SpanStatusCode.ERROR });
    span?.end();
    done();
  });
}

/**
 * The event with the trace of the request that brought it (CloudEvents, "Distributed Tracing"), so that what it starts belongs to that trace. One
 * that it brought itself stays.
 */
export function traced(event: CloudEvent): CloudEvent {
  if (event.traceparent !== undefined) return event;
  const span = trace.getActiveSpan();
  if (!span?.isRecording()) return event;
  const { traceId, spanId, traceFlags } = span.spanContext();
  const flags = (traceFlags & TraceFlags.SAMPLED).toString(16).padStart(2, '0');
  return { ...event, traceparent: `00-${traceId}-${spanId}-${flags}` };
}
