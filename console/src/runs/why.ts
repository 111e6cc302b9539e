import type { Json, JsonObject, Pin, Run, Step } from '../api/shapes.ts';
import { label } from '../display/format.ts';

export interface Why {
  sentence: string | undefined;
  facts: { name: string; value: string | number }[];
  pins: Pin[];
  costMicroUsd: number;
}

const FACTS_MAX = 24;
const PINS: Readonly<Record<string, readonly string[]>> = {
  features: ['feature-service', 'feature-view'],
  infer: ['model'],
  decide: ['decision'],
  connector: ['connector'],
  'human-task': ['queue'],
};

/** Why a step ended as it did: the rule and its reason, the choice, the error; what it read; the versions that it used. */
export function whyOf(run: Pick<Run, 'pins' | 'costs'>, step: Step): Why {
  const kinds = PINS[step.primitive ?? ''] ?? [];
  const output = asObject(step.output);
  const used = namesIn(output);
  const pins = run.pins.filter(
    ({ kind, name }) => kinds.includes(kind) && (used.size === 0 || used.has(name)),
  );
  const costs = run.costs.filter(
    ({ stepKey }) => stepKey === step.key || stepKey?.startsWith(`${step.key}#`),
  );
  return {
    sentence: sentenceOf(step, output),
    facts: factsOf(output),
    pins,
    costMicroUsd: costs.reduce((sum, { amountMicroUsd }) => sum + amountMicroUsd, 0),
  };
}

function sentenceOf(step: Step, output: JsonObject | undefined): string | undefined {
  if (step.error) return step.error.detail ?? step.error.title ?? step.error.type;
  if (step.choice !== undefined) return `It took the way “${step.choice}”.`;
  if (typeof output?.reason === 'string')
    return typeof output.rule === 'string' ? `Rule “${output.rule}”: ${output.reason}` : output.reason;
  if (step.status === 'waiting')
    return step.primitive === 'human-task' ? 'It waits for a person.' : 'It waits.';
  if (step.primitive === 'features') return 'What was known at this moment:';
  return undefined;
}

/** The numbers and short texts of an output, one level deep and those of its own `output` or `outputs`. */
function factsOf(output: JsonObject | undefined): Why['facts'] {
  if (!output) return [];
  const inner = { ...asObject(output.outputs), ...asObject(output.output) };
  return Object.entries({ ...output, ...inner })
    .flatMap(([name, value]) => {
      const plain = plainOf(value);
      return plain === undefined || name === 'reason' || name === 'rule'
        ? []
        : [{ name: label(name), value: plain }];
    })
    .slice(0, FACTS_MAX);
}

function plainOf(value: Json): string | number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return typeof value === 'string' && value.length <= 200 ? value : undefined;
}

function namesIn(output: JsonObject | undefined): Set<string> {
  return new Set([output?.model, output?.decision].filter((name) => typeof name === 'string'));
}

function asObject(value: Json | undefined): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
}
