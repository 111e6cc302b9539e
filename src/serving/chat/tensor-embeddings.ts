import type { JsonObject } from '../../kernel/json.ts';
import type { MicroUsd } from '../../kernel/money.ts';
import type { Quota } from '../../kernel/quota.ts';
import { checkDimensions, embeddingsToJson, inputsOf } from './embeddings.ts';
import type { LanguageCall, RegisteredVersion } from './language-models.ts';
import { type MeteringDependencies, openBill } from './metering.ts';
import { estimateInput, NO_USAGE, usageToJson } from './usage.ts';

/** What this room needs of those that run models on tensors. */
export interface TensorPort {
  /** A vector for each input. @throws AiosError `chat.wrong_model`, and those of inferences */
  embed(call: {
    /** As the caller named the model. */
    model: string;
    inputs: readonly (string | readonly number[])[];
    by: { readonly kind: string; readonly id: string };
    signal: AbortSignal;
    deadlineMs: number | undefined;
  }): Promise<{ vectors: number[][]; costMicroUsd: MicroUsd; quota?: Quota | undefined }>;
}

/** Embeddings of a model that runs on tensors: paid as its inferences are, its tokens as they are given, else estimated. */
export async function embeddedByTensors(
  dependencies: MeteringDependencies & { tensors: TensorPort },
  { model, request, by, step, deadlineMs }: LanguageCall,
  version: RegisteredVersion,
  signal: AbortSignal,
): Promise<{ body: JsonObject; quotas: Quota[] }> {
  const inputs = inputsOf(request);
  const inputTokens = estimateInput({ input: request.input ?? null });
  const call = { operation: 'embeddings' as const, model: version.name, version: version.version, by, step };
  const bill = await openBill(dependencies, call, { tokens: inputTokens, amountMicroUsd: 0 });
  let fault: unknown;
  try {
    const { vectors, costMicroUsd, quota } = await dependencies.tensors.embed({
      model,
      inputs,
      by,
      signal,
      deadlineMs,
    });
    const estimated = inputs.some((input) => typeof input === 'string');
    bill.charge({ ...NO_USAGE, inputTokens, estimated }, costMicroUsd);
    checkDimensions(vectors, request.dimensions);
    const quotas = [quota, bill.quota].filter((one) => one !== undefined);
    return { body: embeddingsToJson(vectors, model, usageToJson(bill.usage)), quotas };
  } catch (error) {
    fault = error;
    throw error;
  } finally {
    await bill.close(fault);
  }
}
