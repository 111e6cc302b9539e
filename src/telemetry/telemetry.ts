import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Context,
  type ContextManager,
  context,
  propagation,
  ROOT_CONTEXT,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Limits } from '../kernel/limits.ts';
import { loopDelay, metricReader } from './meter-provider.ts';
import { AheadSampler, setSampleRatio } from './sampling.ts';

/** The context of the current call, over Node's own AsyncLocalStorage. */
class AsyncContextManager implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    ctx: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(ctx, () => fn.call(thisArg as never, ...args));
  }

  bind<T>(ctx: Context, target: T): T {
    if (typeof target !== 'function') return target;
    return ((...args: unknown[]) =>
      this.#storage.run(ctx, () => (target as (...list: unknown[]) => unknown)(...args))) as T;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.#storage.disable();
    return this;
  }
}

export interface Telemetry {
  /** The metrics in Prometheus's text form. */
  prometheus(): Promise<string>;
  stop(): Promise<void>;
}

/**
 * OpenTelemetry for the process: spans leave by OTLP/HTTP when `OTEL_EXPORTER_OTLP_ENDPOINT` is set, sampled by `AIOS_TRACE_RATIO` (1 % when
 * left out: an unsampled request costs nothing) unless the caller's `traceparent` decides; metrics are pulled.
 *
 * @example const telemetry = startTelemetry('0.1.0', otlpProcessors(limits)); await telemetry.prometheus();
 */
export function startTelemetry(version: string, processors: readonly SpanProcessor[]): Telemetry {
  const resource = resourceFromAttributes({ 'service.name': 'aios', 'service.version': version });
  loopDelay.enable();
  let tracerProvider: TracerProvider | undefined;
  if (processors.length > 0) {
    const ratio = Number(process.env.AIOS_TRACE_RATIO ?? 0.01);
    const sampler = new ParentBasedSampler({ root: new AheadSampler(new TraceIdRatioBasedSampler(ratio)) });
    setSampleRatio(ratio);
    tracerProvider = new TracerProvider({ resource, sampler, spanProcessors: [...processors] });
    context.setGlobalContextManager(new AsyncContextManager());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    trace.setGlobalTracerProvider(tracerProvider);
  }
  const serializer = new PrometheusSerializer();
  return {
    async prometheus() {
      const { resourceMetrics } = await metricReader.collect();
      return serializer.serialize(resourceMetrics);
    },
    async stop() {
      loopDelay.disable();
      setSampleRatio(0);
      await tracerProvider?.shutdown();
      for (const api of [trace, context, propagation]) api.disable();
    },
  };
}

/**
 * By OTLP/HTTP to where the environment says, if it does. To write 512 spans, as many as a `BatchSpanProcessor` sends by itself, holds up the process for 1.2 ms and more; 128 for
 * 0.2, at the same cost a span.
 */
export function otlpProcessors(limits: Pick<Limits, 'spanBatchCountMax'>): SpanProcessor[] {
  if (!process.env.OTEL_EXPORTER_OTLP_ENDPOINT) return [];
  const exporter = new OTLPTraceExporter();
  return [new BatchSpanProcessor({ exporter, maxExportBatchSize: limits.spanBatchCountMax })];
}
