import type { Models } from './models/models.ts';
import { tensorsOf, valuesOf } from './serving/protocol/tensor-values.ts';
import type { Serving } from './serving/traffic/serving.ts';
import type { InferPort } from './workflow/catalog/infer.ts';

/** Serving as flows ask it: tensors are nested lists there. */
export function inferPort(models: Models, serving: Serving): InferPort {
  return {
    score: (call) => serving.score(call),
    async infer({ inputs, ...call }) {
      const { signature } = models.resolve(call.model, call.ref);
      const answer = await serving.infer({ ...call, inputs: tensorsOf(signature.inputs, inputs) });
      return { ...answer, outputs: valuesOf(answer.outputs) };
    },
  };
}
