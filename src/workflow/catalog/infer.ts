import type { Json, JsonObject } from '../../kernel/json.ts';
import type { MicroUsd } from '../../kernel/money.ts';
import type { CallPrimitive } from './primitive.ts';
import type { CostPort } from './records.ts';

/** What this primitive needs of serving. */
export interface InferPort {
  score(call: { model: string; ref?: string | number; features: JsonObject; signal?: AbortSignal }): Promise<{
    outputs: { [name: string]: Json };
    version: number;
    digest: string;
    computeUs: number;
    costMicroUsd: MicroUsd;
  }>;
}

/**
 * `call: infer:1@default`: runs a model on named features. `ref` is an alias or a version, `champion` when left out; which version answered
 * is kept with the result.
 *
 * Output: `{ outputs: { score: 0.12 }, model, version }`.
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
      },
      required: ['model', 'features'],
      additionalProperties: false,
    },
    async run({ model, ref, features }, { runId, stepKey, nowMs }) {
      const name = model as string;
      const answer = await models.score({
        model: name,
        features: features as JsonObject,
        ...(ref === undefined ? {} : { ref: ref as string | number }),
      });
      const { outputs, version, digest, computeUs, costMicroUsd } = answer;
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
      return {
        output: { outputs, model: name, version },
        writes: [cost],
        pins: [{ kind: 'model', name, version: String(version), digest }],
      };
    },
  };
}
