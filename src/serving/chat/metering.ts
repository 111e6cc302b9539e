import { type Attributes, metrics, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Clock } from '../../kernel/clock.ts';
import { AiosError } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import type { Json } from '../../kernel/json.ts';
import type { MicroUsd } from '../../kernel/money.ts';
import type { Quota } from '../../kernel/quota.ts';
import type { Committer } from '../../store/group-commit.ts';
import type { Write } from '../../store/lane.ts';
import type { Target } from './endpoint.ts';
import { addUsage, NO_USAGE, priceOf, type Usage } from './usage.ts';

/** What a budget holds back for a call that is under way. */
export interface Reservation {
  readonly id: string;
  /** What is left of the budget with the fewest tokens. */
  readonly quota?: Quota | undefined;
}

/** What the calls of language models need of budgets. */
interface BudgetPort {
  /**
   * Sets aside what a call may use at most; undefined when no budget is over it.
   *
   * @throws AiosError `budgets.exceeded`
   */
  reserve(call: {
    key: string;
    model: string;
    tokens: number;
    amountMicroUsd: MicroUsd;
  }): Promise<Reservation | undefined> | undefined;
  /** What it used in the end; the rest is free again. */
  settle(reservation: Reservation, used: { tokens: number; amountMicroUsd: MicroUsd }): Write;
}

/** The write of a cost entry; outside a run `stepKey` is the id of the call. */
type ChatCostPort = (entry: {
  runId?: string | undefined;
  stepKey: string;
  service: string;
  resource: string;
  quantity: number;
  unit: string;
  amountMicroUsd: MicroUsd;
  at: number;
  tags: Json;
}) => Write;

export interface MeteringDependencies {
  budgets: BudgetPort;
  cost: ChatCostPort;
  commit: Committer;
  clock: Clock;
}

/** A call as it is accounted for. */
export interface MeteredCall {
  /** OpenTelemetry's `gen_ai.operation.name`. */
  readonly operation: 'chat' | 'embeddings';
  readonly model: string;
  readonly version: number;
  readonly by: { readonly kind: string; readonly id: string };
  /** The step of a run that calls. */
  readonly step?: CallingStep | undefined;
  /** Told how the call ended, when the version was chosen by a rollout. */
  readonly trial?: Trial | undefined;
}

/** Counts what a version does under a rollout. */
export interface Trial {
  succeeded(ms: number): void;
  failed(error: unknown): void;
}

/** A step of a run, which commits with its own result what its call cost. */
export interface CallingStep {
  readonly runId: string;
  readonly stepKey: string;
  /** Takes the writes of a call that has an answer; those of one that failed are committed at once. */
  record(writes: readonly Write[]): void;
}

const tracer = trace.getTracer('aios.chat');
const meter = metrics.getMeter('aios.chat');
// Names, units and buckets of the OpenTelemetry GenAI semantic conventions (gen-ai-metrics).
const SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const tokenUsage = meter.createHistogram('gen_ai.client.token.usage', {
  unit: '{token}',
  advice: {
    explicitBucketBoundaries: [
      1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
    ],
  },
});
const duration = meter.createHistogram('gen_ai.client.operation.duration', {
  unit: 's',
  advice: { explicitBucketBoundaries: SECONDS },
});
const firstChunk = meter.createHistogram('gen_ai.client.operation.time_to_first_chunk', {
  unit: 's',
  advice: { explicitBucketBoundaries: SECONDS },
});
const cacheHits = meter.createCounter('aios.chat.cache.hits', { unit: '{call}' });
const fallbacks = meter.createCounter('aios.chat.further_attempts', { unit: '{attempt}' });

/** An answer that cost nothing. */
export function countHit({ operation, model }: MeteredCall): void {
  cacheHits.add(1, { 'gen_ai.operation.name': operation, 'gen_ai.request.model': model });
}

/** Opens the bill of a call: what it may use is set aside in the budgets over it. @throws AiosError `budgets.exceeded` */
export async function openBill(
  dependencies: MeteringDependencies,
  call: MeteredCall,
  most: { tokens: number; amountMicroUsd: MicroUsd },
): Promise<Bill> {
  const { by, model } = call;
  // A flow is not a key; a budget can be over it by this name.
  const key = by.kind === 'workflow' ? `workflow:${by.id}` : by.id;
  const reserved = dependencies.budgets.reserve({ key, model, ...most });
  return new Bill(dependencies, call, reserved instanceof Promise ? await reserved : reserved);
}

/** What one call used and cost, over all of its attempts and repairs; committed once, at its end. */
export class Bill {
  readonly #deps: MeteringDependencies;
  readonly #call: MeteredCall;
  readonly #reservation: Reservation | undefined;
  readonly #startedMs = performance.now();
  readonly #attributes: Attributes;
  readonly #span: Span | undefined;
  #usage: Usage = NO_USAGE;
  #amount: MicroUsd = 0;
  #target: Target | undefined;

  constructor(dependencies: MeteringDependencies, call: MeteredCall, reservation: Reservation | undefined) {
    this.#deps = dependencies;
    this.#call = call;
    this.#reservation = reservation;
    this.#attributes = {
      'gen_ai.operation.name': call.operation,
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': call.model,
    };
    // A span only under a parent that is recorded.
    if (trace.getActiveSpan()?.isRecording())
      this.#span = tracer.startSpan(`${call.operation} ${call.model}`, {
        kind: SpanKind.CLIENT,
        attributes: this.#attributes,
      });
  }

  /** What is left in the budgets, where one counts tokens. */
  get quota(): Quota | undefined {
    return this.#reservation?.quota;
  }

  get usage(): Usage {
    return this.#usage;
  }

  get amountMicroUsd(): MicroUsd {
    return this.#amount;
  }

  /** What one answer used, at the prices of the server that gave it. */
  add(usage: Usage, target: Target, attempts = 1): void {
    this.#usage = addUsage(this.#usage, usage);
    this.#amount += priceOf(usage, target.prices);
    this.answeredBy(target);
    if (attempts > 1) fallbacks.add(attempts - 1, this.#attributes);
  }

  /** What an answer of a model used that has a price of its own. */
  charge(usage: Usage, amountMicroUsd: MicroUsd): void {
    this.#usage = addUsage(this.#usage, usage);
    this.#amount += amountMicroUsd;
  }

  answeredBy(target: Target): void {
    this.#target = target;
    this.#attributes['gen_ai.response.model'] = target.model;
    this.#attributes['server.address'] = new URL(target.url).hostname;
  }

  began(): void {
    firstChunk.record((performance.now() - this.#startedMs) / 1000, this.#attributes);
  }

  /** Commits the cost entry together with what the budgets keep of it, and gives the metrics. */
  async close(error?: unknown): Promise<void> {
    this.#measure(error);
    if (error === undefined) this.#call.trial?.succeeded(performance.now() - this.#startedMs);
    else this.#call.trial?.failed(error);
    const { inputTokens, cachedTokens, outputTokens, estimated } = this.#usage;
    const tokens = inputTokens + outputTokens;
    const writes: Write[] = [];
    if (tokens > 0) {
      const { model, version, operation, by, step } = this.#call;
      writes.push(
        this.#deps.cost({
          runId: step?.runId,
          // A failed call may have cost too, and the step that tries again is charged anew.
          stepKey: error === undefined && step ? step.stepKey : newId('inf'),
          service: 'language-model',
          resource: `${model}@${version}`,
          quantity: tokens,
          unit: 'tokens',
          amountMicroUsd: this.#amount,
          at: this.#deps.clock.now(),
          tags: {
            operation,
            by: `${by.kind}:${by.id}`,
            upstream: this.#target?.model ?? null,
            inputTokens,
            cachedTokens,
            outputTokens,
            ...(estimated ? { estimated } : {}),
          },
        }),
      );
    }
    if (this.#reservation)
      writes.push(this.#deps.budgets.settle(this.#reservation, { tokens, amountMicroUsd: this.#amount }));
    if (writes.length === 0) return;
    const { step } = this.#call;
    if (step && error === undefined) step.record(writes);
    else await this.#deps.commit.commit(writes);
  }

  #measure(error: unknown): void {
    const { inputTokens, outputTokens } = this.#usage;
    const attributes = this.#attributes;
    if (inputTokens > 0) tokenUsage.record(inputTokens, { ...attributes, 'gen_ai.token.type': 'input' });
    if (outputTokens > 0) tokenUsage.record(outputTokens, { ...attributes, 'gen_ai.token.type': 'output' });
    if (error !== undefined) attributes['error.type'] = error instanceof AiosError ? error.code : 'internal';
    duration.record((performance.now() - this.#startedMs) / 1000, attributes);
    if (!this.#span) return;
    this.#span.setAttributes({
      ...attributes,
      'gen_ai.usage.input_tokens': inputTokens,
      'gen_ai.usage.output_tokens': outputTokens,
    });
    if (error !== undefined) this.#span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
    this.#span.end();
  }
}
