import { type Context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';
import { type Sampler, SamplingDecision, type SamplingResult } from '@opentelemetry/sdk-trace';

const DRAWN = createContextKey('aios.trace.drawn');
const drawn = ROOT_CONTEXT.setValue(DRAWN, true);
let ratio = 0;

/**
 * The context for a span that starts a trace, drawn with the ratio that traces are sampled by; undefined for all others. Starting a span
 * only to learn that it is not recorded costs 2 µs, a tenth of a small inference.
 *
 * @example const parent = sampleAhead(); if (parent) tracer.startSpan('POST', {}, parent)
 */
export function sampleAhead(): Context | undefined {
  return ratio > 0 && Math.random() < ratio ? drawn : undefined;
}

/** Takes what was drawn ahead, and asks another sampler for the rest. */
export class AheadSampler implements Sampler {
  readonly #other: Sampler;

  constructor(other: Sampler) {
    this.#other = other;
  }

  shouldSample(...asked: Parameters<Sampler['shouldSample']>): SamplingResult {
    if (asked[0].getValue(DRAWN) === true) return { decision: SamplingDecision.RECORD_AND_SAMPLED };
    return this.#other.shouldSample(...asked);
  }

  toString(): string {
    return `AheadSampler{${this.#other.toString()}}`;
  }
}

/** What `sampleAhead` draws by, from 0 to 1. */
export function setSampleRatio(share: number): void {
  ratio = share;
}
