import type { Json, JsonObject } from '../../kernel/json.ts';
import type { MicroUsd } from '../../kernel/money.ts';
import type { CallPrimitive } from './primitive.ts';
import type { CostPort } from './records.ts';

/** What this primitive needs of serving. */
export interface InferPort {
  score(call: {
    model: string;
    ref?: string | number;
    features: JsonObject;
    stickyKey?: string;
    signal?: AbortSignal;
    step?: { runId: string; stepKey: string };
  }): Promise<{
    outputs: { [name: string]: Json };
    /** The one that answered: a fallback may be another model. */
    model: string;
    version: number;
    digest: string;
    computeUs: number;
    costMicroUsd: MicroUsd;
    /** Set when it was not the version asked for that answered. */
    degraded?: { model: string; version: number; reason: string; by: string } | undefined;
  }>;
}

/**
 * `call: infer:1@default`: runs a model on named features. `ref` is an alias or a version, `champion` when left out; which version answered
 * is kept with the result. `sticky` is the key that a rollout divides its traffic by (a customer, say); the run when left out.
 *
 * Output: `{ outputs: { score: 0.12 }, model, version }`, and `degraded: { model, version, reason, by }` when the version asked for could
 * not answer and its fallback did.
 */
export function inferPrimitive(models: InferPort, costs: CostPort): CallPrimitive {
  return {
    name: 'infer',
    version: 1,
    kind: 'pure',
    inputSchema: {
      type: 'object',
      properties: {
        model: { type: 'string' },
        ref: { type: ['string', 'integer'], description: 'an alias or a version; champion when left out' },
        features: { type: 'object', description: 'feature name to value; more than the model takes is fine' },
        sticky: {
          type: 'string',
          description:
            'calls with the same key are answered by the same version under a rollout; the run when left out',
        },
      },
      required: ['model', 'features'],
      additionalProperties: false,
    },
    async run({ model, ref, features, sticky }, { runId, stepKey, nowMs }) {
      const answer = await models.score({
        model: model as string,
        features: features as JsonObject,
        step: { runId, stepKey },
        ...(ref === undefined ? {} : { ref: ref as string | number }),
        ...(sticky === undefined ? {} : { stickyKey: sticky as string }),
      });
      const { outputs, model: name, version, digest, computeUs, costMicroUsd, degraded } = answer;
      const cost = costs({
        runId,
        stepKey,
        service: 'inference',
        resource: `${name}@${version}`,
        quantity: computeUs,
        unit: 'µs',
        amountMicroUsd: costMicroUsd,
        at: nowMs,
      });
      const output: JsonObject = { outputs, model: name, version };
      if (degraded) output.degraded = { ...degraded };
      return {
        output,
        writes: [cost],
        pins: [{ kind: 'model', name, version: String(version), digest }],
      };
    },
  };
}
