import type { Json, JsonObject } from '../../kernel/json.ts';
import type { MicroUsd } from '../../kernel/money.ts';
import type { CallPrimitive, Degraded } from './primitive.ts';
import type { CostPort } from './records.ts';

interface Call {
  model: string;
  ref?: string | number;
  stickyKey?: string | undefined;
  signal?: AbortSignal;
  deadlineMs?: number;
  priority?: number | undefined;
  caller?: { readonly kind: string; readonly id: string } | undefined;
  isCopy?: boolean | undefined;
  depth?: number;
  step?: { runId: string; stepKey: string } | undefined;
}

interface Answer {
  outputs: { [name: string]: Json };
  /** The one that answered: a fallback may be another model. */
  model: string;
  version: number;
  digest: string;
  computeUs: number;
  costMicroUsd: MicroUsd;
  /** Set when it was not the version asked for that answered. */
  degraded?: Degraded | undefined;
  /** `parts`: what an ensemble asked in turn, `name/version` with commas between. */
  parameters?: Readonly<Record<string, string | boolean>> | undefined;
}

/** What this primitive needs of serving. */
export interface InferPort {
  /** One row of named features. */
  score(call: Call & { features: JsonObject }): Promise<Answer>;
  /** Tensors by name, nested lists; rows are the first dimension. */
  infer(call: Call & { inputs: JsonObject }): Promise<Answer>;
}

/**
 * `call: infer:1@default`: runs a model on named features, or on tensors of any rows (`inputs`, lists nested as their shapes say). `ref` is an alias or a
 * version, `champion` when left out; which version answered is kept with the result. `sticky` is the key that a rollout divides its traffic by (a
 * customer, say); the run when left out.
 *
 * Output: `{ outputs: { score: 0.12 }, model, version }`, of tensors `{ outputs: { probabilities: [[0.9, 0.1], …] }, … }`, and `degraded: { model, version, reason, by }` when the version asked for could
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
        inputs: { type: 'object', description: 'tensor name to its elements, in nested lists' },
        sticky: {
          type: 'string',
          description:
            'calls with the same key are answered by the same version under a rollout; the run when left out',
        },
      },
      required: ['model'],
      oneOf: [{ required: ['features'] }, { required: ['inputs'] }],
      additionalProperties: false,
    },
    async run({ model, ref, features, inputs, sticky }, context) {
      const { runId, stepKey, nowMs, behalf } = context;
      const call: Call = {
        model: model as string,
        ...(behalf ? { ...behalf.call(stepKey), signal: context.signal } : { step: { runId, stepKey } }),
        ...(ref === undefined ? {} : { ref: ref as string | number }),
        ...(sticky === undefined ? {} : { stickyKey: sticky as string }),
      };
      const answer = await (inputs === undefined
        ? models.score({ ...call, features: features as JsonObject })
        : models.infer({ ...call, inputs: inputs as JsonObject }));
      behalf?.answered(answer);
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
