import { context, metrics, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  BrokenCircuitError,
  type BulkheadPolicy,
  BulkheadRejectedError,
  bulkhead,
  type CircuitBreakerPolicy,
  ConsecutiveBreaker,
  circuitBreaker,
  type FailureReason,
  handleWhen,
} from 'cockatiel';
import type { Agent } from 'undici';
import { digestOfBytes } from '../kernel/canonical.ts';
import { destinationOf } from '../kernel/destination.ts';
import { DURATION_BUCKETS_S } from '../kernel/duration-buckets.ts';
import { AiosError } from '../kernel/errors.ts';
import { exactJson } from '../kernel/exact-integers.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { MicroUsd } from '../kernel/money.ts';
import type { Definition, Definitions } from '../store/definitions.ts';
import { type Connector, compileConnector, type Operation, parseBaseUrl } from './connector.ts';
import { BODY_SHOWN_LENGTH, type Delivered, deliver, isOutage, type Line } from './delivery.ts';
import { createGuardedAgent, namesHost, type Resolve } from './egress.ts';
import type { ExchangeRequest } from './http-exchange.ts';
import { SecretAudience } from './secret-hosts.ts';
import { redact } from './secrets.ts';
import type { Variables } from './template.ts';

export interface ConnectorCall {
  connector: string;
  operation: string;
  input: JsonObject;
  /** The receiver's means to notice that a call came before: the same at every attempt. */
  idempotencyKey: string;
  signal?: AbortSignal | undefined;
}

export interface ConnectorAnswer {
  readonly output: Json;
  readonly status: number;
  readonly attempts: number;
  /** Failed attempts cost too. */
  readonly costMicroUsd: MicroUsd;
  /** Version and digest of the connector's definition. */
  readonly version: number;
  readonly digest: string;
}

/** What is told when the circuit of a connector changes: calls pause, one of them tries, they go on. */
export interface ConnectorCircuit {
  readonly connector: string;
  readonly state: 'open' | 'half-open' | 'closed';
  /** In words, without what the other system said. */
  readonly reason: string;
}

interface ConnectorsDependencies {
  definitions: Pick<Definitions, 'list' | 'onChange'>;
  limits: Limits;
  variables: Variables;
  /** How names become addresses; the system's resolver when left out. */
  resolve?: Resolve;
  onCircuit?: (change: ConnectorCircuit) => void;
}

const tracer = trace.getTracer('aios.connectors');
const meter = metrics.getMeter('aios.connectors');
const calls = meter.createCounter('aios.connectors.calls', {
  description: 'Calls of outside systems by outcome',
});
const duration = meter.createHistogram('aios.connectors.duration', {
  unit: 's',
  description: 'Time of a call, attempts and pauses included',
  advice: { explicitBucketBoundaries: DURATION_BUCKETS_S },
});

interface InForce extends Line {
  readonly version: number;
  readonly digest: string;
  readonly agent: Agent;
  readonly bulkhead: BulkheadPolicy;
}

/**
 * Actions on outside systems over HTTP, by their definitions: guarded egress, retries, timeout, breaker, bounded concurrency.
 *
 * @example
 * const connectors = new Connectors({ definitions, limits, variables: connectorVariables({ env: process.env }) });
 * await connectors.call({ connector: 'refunds', operation: 'refund', input: { returnId: 'r-1' }, idempotencyKey: 'run_1/refund' });
 */
export class Connectors {
  readonly #dependencies: ConnectorsDependencies;
  readonly #inForce = new Map<string, InForce>();

  constructor(dependencies: ConnectorsDependencies) {
    this.#dependencies = dependencies;
    for (const definition of dependencies.definitions.list('connector')) this.#install(definition);
    dependencies.definitions.onChange((changed) => {
      for (const definition of changed) if (definition.kind === 'connector') this.#install(definition);
    });
  }

  /**
   * Calls an operation. It may be made more than once with the same idempotency key.
   *
   * @throws AiosError `connectors.unknown`, `connectors.unknown_operation`, `connectors.input_invalid`, `connectors.variable_unset`,
   * `connectors.secret_refused`, `connectors.egress_refused`, `connectors.refused` (the system said no), `connectors.failed`, `connectors.unreachable`,
   * `connectors.outcome_unknown` (it may have been done), `connectors.unavailable`, `connectors.overloaded`, `connectors.canceled`,
   * `connectors.response_invalid`, `connectors.response_too_large`
   */
  call(call: ConnectorCall): Promise<ConnectorAnswer> {
    const name = `${call.connector}.${call.operation}`;
    const startedMs = performance.now();
    return tracer.startActiveSpan(name, { kind: SpanKind.CLIENT }, async (span) => {
      let outcome = 'completed';
      try {
        const answer = await this.#call(call);
        span.setAttribute('http.response.status_code', answer.status);
        return answer;
      } catch (error) {
        outcome = error instanceof AiosError ? error.code : 'internal';
        span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
        throw error;
      } finally {
        span.end();
        const attributes = { connector: call.connector, operation: call.operation, outcome };
        calls.add(1, attributes);
        duration.record((performance.now() - startedMs) / 1000, attributes);
      }
    });
  }

  /** Waits for what is under way, then closes the connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#inForce.values()].map(({ agent }) => agent.close()));
    this.#inForce.clear();
  }

  async #call(call: ConnectorCall): Promise<ConnectorAnswer> {
    const inForce = this.#inForce.get(call.connector);
    if (!inForce)
      throw new AiosError('connectors.unknown', { detail: `There is no connector “${call.connector}”.` });
    const operation = inForce.connector.operations.get(call.operation);
    if (!operation) {
      throw new AiosError('connectors.unknown_operation', {
        detail: `${call.connector} has ${[...inForce.connector.operations.keys()].join(', ')}, no “${call.operation}”.`,
      });
    }
    const issues = operation.validate(call.input);
    if (issues.length > 0) throw new AiosError('connectors.input_invalid', { issues });
    const secrets = new Set<string>();
    const request = this.#request(inForce.connector, operation, call, secrets);
    try {
      const delivered = await inForce.bulkhead.execute(
        () => deliver(inForce, operation, request),
        call.signal,
      );
      return answer(inForce, operation, call.input, delivered);
    } catch (error) {
      throw toCallError(error, call, secrets);
    }
  }

  #request(
    connector: Connector,
    operation: Operation,
    call: ConnectorCall,
    secrets: Set<string>,
  ): ExchangeRequest {
    const audience = new SecretAudience();
    const variables: Variables = (source, name) => {
      const value = this.#dependencies.variables(source, name, audience.use);
      if (source === 'secrets' && value !== undefined) secrets.add(value);
      return value;
    };
    const base = baseUrlOf(connector, variables);
    const path = base.pathname.replace(/\/$/, '') + operation.path(call.input);
    const body = operation.body?.({ input: call.input, idempotencyKey: call.idempotencyKey });
    const headers: Record<string, string> = {
      accept: 'application/json',
      'accept-encoding': 'identity',
      'user-agent': 'aios',
      'idempotency-key': idempotencyHeader(call.idempotencyKey),
    };
    if (body !== undefined) headers['content-type'] = 'application/json';
    for (const [name, value] of operation.headers) headers[name] = value.resolve(variables);
    audience.check(destinationOf(base));
    propagation.inject(context.active(), headers);
    return {
      origin: base.origin,
      path,
      method: operation.method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      timeoutMs: connector.timeoutMs,
      responseBytesMax: this.#dependencies.limits.connectorResponseBytesMax,
      signal: call.signal,
    };
  }

  /** A new version has connections, breaker and bounds of its own; calls under way end with the old ones. */
  #install({ name, version, digest, body }: Definition): void {
    const connector = compileConnector(body);
    const { limits, variables, resolve } = this.#dependencies;
    const agent = createGuardedAgent({
      isAllowed: (hostname, port) => isAllowed(connector, variables, hostname, port),
      connectionsMax: connector.concurrencyMax,
      connectTimeoutMs: connector.timeoutMs,
      ...(resolve ? { resolve } : {}),
    });
    void this.#inForce.get(name)?.agent.close();
    this.#inForce.set(name, {
      version,
      digest,
      connector,
      agent,
      breaker: this.#breakerOf(connector),
      bulkhead: bulkhead(connector.concurrencyMax, limits.connectorQueueMax),
    });
  }

  #breakerOf({ name, breakerOpenMs, breakerFailuresMax }: Connector): CircuitBreakerPolicy {
    const breaker = circuitBreaker(handleWhen(isOutage), {
      halfOpenAfter: breakerOpenMs,
      breaker: new ConsecutiveBreaker(breakerFailuresMax),
    });
    const tell = (state: ConnectorCircuit['state'], reason: string) =>
      this.#dependencies.onCircuit?.({ connector: name, state, reason });
    // The first failure after a pause opens it again.
    let wasTried = false;
    breaker.onBreak((broken) => {
      const failed = wasTried ? 'a call that tried it failed' : `${breakerFailuresMax} in a row failed`;
      wasTried = false;
      tell('open', `${failed}${lastOf(broken)}; calls pause for ${breakerOpenMs} ms`);
    });
    breaker.onHalfOpen(() => {
      wasTried = true;
      tell('half-open', 'the pause is over, and one call tries whether it answers');
    });
    breaker.onReset(() => {
      wasTried = false;
      tell('closed', 'a call was answered');
    });
    return breaker;
  }
}

/** What an outage is known by; its text may hold what the other system said. */
function lastOf(broken: FailureReason<unknown> | { isolated: true }): string {
  const error = 'error' in broken ? broken.error : undefined;
  if (!(error instanceof AiosError)) return '';
  const { remoteStatus } = error.extensions;
  return `, the last with ${error.code}${remoteStatus === undefined ? '' : ` (status ${String(remoteStatus)})`}`;
}

function answer(
  { version, digest }: InForce,
  operation: Operation,
  input: JsonObject,
  { response, attempts }: Delivered,
): ConnectorAnswer {
  const { status, headers, text } = response;
  let body: Json = null;
  if (text !== '') {
    const isJson = /[/+]json\b/.test(headers['content-type'] ?? '');
    try {
      body = isJson ? exactJson(text) : text;
    } catch (cause) {
      const detail = `Status ${status}, and a body that is not JSON: ${text.slice(0, BODY_SHOWN_LENGTH)}`;
      throw new AiosError('connectors.response_invalid', { detail, cause });
    }
  }
  let output: Json = body;
  if (operation.response) {
    try {
      output = operation.response({ status, headers, body, input });
    } catch (cause) {
      const detail = `Status ${status}, and the mapping of the answer failed: ${(cause as Error).message}`;
      throw new AiosError('connectors.response_invalid', { detail, cause });
    }
  }
  return {
    output,
    status,
    attempts,
    costMicroUsd: attempts * operation.costPerCallMicroUsd,
    version,
    digest,
  };
}

/** What the caller is told: by name of connector and operation, without addresses or secrets. */
function toCallError(error: unknown, call: ConnectorCall, secrets: ReadonlySet<string>): unknown {
  const name = `${call.connector}.${call.operation}`;
  if (error instanceof BulkheadRejectedError)
    return new AiosError('connectors.overloaded', { detail: `${name}: too many calls wait.` });
  if (error instanceof BrokenCircuitError)
    return new AiosError('connectors.unavailable', {
      detail: `${name}: it has failed too often, calls pause.`,
    });
  if (!(error instanceof AiosError))
    return call.signal?.aborted ? new AiosError('connectors.canceled', { detail: name }) : error;
  if (!error.code.startsWith('connectors.')) return error;
  return new AiosError(error.code, {
    detail: `${name}: ${redact(error.message, secrets)}`,
    issues: [...error.issues],
    extensions: error.extensions,
  });
}

function baseUrlOf(connector: Connector, variables: Variables): URL {
  try {
    return parseBaseUrl(connector.baseUrl.resolve(variables));
  } catch (error) {
    if (error instanceof AiosError) throw error;
    throw new AiosError('connectors.variable_unset', {
      detail: `${connector.name}: ${(error as Error).message}`,
    });
  }
}

function isAllowed(
  { allowPrivate }: Connector,
  variables: Variables,
  hostname: string,
  port: number,
): boolean {
  return allowPrivate.some((template) => {
    const text = template.resolve(variables);
    // A URL stands for its host and port, so that `${env.REFUNDS_URL}` can name both the address and the allowance.
    const name = /^https?:\/\//.test(text) ? hostOf(new URL(text)) : text.toLowerCase();
    return namesHost(name, hostname, port);
  });
}

function hostOf({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
}

/** draft-ietf-httpapi-idempotency-key-header: a structured field string, printable ASCII in quotes. */
export function idempotencyHeader(key: string): string {
  const text = /^[\x20-\x7e]*$/.test(key) ? key : digestOfBytes(key);
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
