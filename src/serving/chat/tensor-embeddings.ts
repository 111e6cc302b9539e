import type { JsonObject } from '../../kernel/json.ts';
import type { MicroUsd } from '../../kernel/money.ts';
import type { Quota } from '../../kernel/quota.ts';
import { checkDimensions, embeddingsToJson, inputsOf } from './embeddings.ts';
import type { LanguageCall, RegisteredVersion } from './language-call.ts';
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
    /** One version answers all inputs; under a rollout the one of this key. */
    stickyKey: string | undefined;
    signal: AbortSignal;
    deadlineMs: number | undefined;
    onQuota: ((quota: Quota) => void) | undefined;
  }): Promise<AnsweringVersion & { vectors: number[][]; costMicroUsd: MicroUsd }>;
}

interface AnsweringVersion {
  readonly model: string;
  readonly version: number;
  readonly digest: string;
}

/** Embeddings of a model that runs on tensors: paid as its inferences are, its tokens as they are given, else estimated. */
export async function embeddedByTensors(
  dependencies: MeteringDependencies & { tensors: TensorPort },
  { model: asked, request, by, step, stickyKey, deadlineMs, onQuota }: LanguageCall,
  found: RegisteredVersion,
  signal: AbortSignal,
): Promise<AnsweringVersion & { body: JsonObject }> {
  const inputs = inputsOf(request);
  const inputTokens = estimateInput({ input: request.input ?? null });
  const call = { operation: 'embeddings' as const, model: found.name, version: found.version, by, step };
  const bill = await openBill(dependencies, call, { tokens: inputTokens, amountMicroUsd: 0 });
  let fault: unknown;
  try {
    if (bill.quota) onQuota?.(bill.quota);
    const { vectors, costMicroUsd, model, version, digest } = await dependencies.tensors.embed({
      ...{ model: asked, inputs, by, stickyKey },
      ...{ signal, deadlineMs, onQuota },
    });
    call.version = version; // under a rollout the bill is that of the version which answered
    const estimated = inputs.some((input) => typeof input === 'string');
    bill.charge({ ...NO_USAGE, inputTokens, estimated }, costMicroUsd);
    checkDimensions(vectors, request.dimensions);
    const body = embeddingsToJson(vectors, asked, usageToJson(bill.usage));
    return { body, model, version, digest };
  } catch (error) {
    fault = error;
    throw error;
  } finally {
    await bill.close(fault);
  }
}
