import type { Json, JsonObject } from '../../kernel/json.ts';
import type { MicroUsd } from '../../kernel/money.ts';
import type { CallPrimitive } from './primitive.ts';
import { type AuditPort, actorOf, type CostPort } from './records.ts';

type NamedDatasets = Readonly<Record<string, { name: string; version?: number | string }>>;

/** What this primitive needs of the training. */
export interface TrainingPort {
  /** Runs the command once for a key: asked again after its end, it answers as it did. */
  train(call: {
    readonly trainer: string;
    /** The model that what it writes becomes a version of; without it nothing is registered. */
    readonly model: string | undefined;
    readonly experiment: string | undefined;
    readonly parameters: JsonObject;
    /** By the name that the command knows each by. */
    readonly datasets: NamedDatasets;
    readonly runId: string;
    readonly stepKey: string;
    readonly idempotencyKey: string;
    readonly attempt: number;
    readonly by: { kind: string; id: string };
    /** The person who started the run: not the one who approves what comes of it. */
    readonly startedBy: string | undefined;
    readonly signal: AbortSignal;
  }): Promise<{
    readonly output: Json;
    readonly version: { name: string; version: number; digest: string } | undefined;
    readonly seconds: number;
    readonly costMicroUsd: MicroUsd;
  }>;
}

const NAME = { type: 'string', minLength: 1 };
const INPUT: JsonObject = {
  type: 'object',
  properties: {
    trainer: NAME,
    model: NAME,
    experiment: NAME,
    parameters: { type: 'object' },
    datasets: {
      type: 'object',
      propertyNames: { pattern: '^[A-Za-z][A-Za-z0-9_]{0,62}$' },
      additionalProperties: {
        type: 'object',
        properties: { name: NAME, version: { type: ['integer', 'string'] } },
        required: ['name'],
        additionalProperties: false,
      },
    },
  },
  required: ['trainer'],
  additionalProperties: false,
};

/**
 * `call: train:1@default`: runs a command that the operator allowed by name, on versions of datasets and with parameters, and makes what it wrote a version of a
 * model. It is an effect: a repetition after a crash ends what is left of the command and runs it again, or answers with the version that is there.
 *
 * Output: `{ model, version, metrics, trainingRun }`; `model` and `version` are null where none was to be registered.
 */
export function trainPrimitive(training: TrainingPort, costs: CostPort, audit: AuditPort): CallPrimitive {
  return {
    name: 'train',
    version: 1,
    kind: 'effect',
    inputSchema: INPUT,
    async run(input, context) {
      const { runId, stepKey, idempotencyKey, attempt, startedBy, signal } = context;
      const trainer = input.trainer as string;
      const by = actorOf(context);
      const { output, version, seconds, costMicroUsd } = await training.train({
        trainer,
        model: input.model as string | undefined,
        experiment: input.experiment as string | undefined,
        parameters: (input.parameters ?? {}) as JsonObject,
        datasets: (input.datasets ?? {}) as NamedDatasets,
        runId,
        stepKey,
        idempotencyKey,
        attempt,
        by,
        startedBy,
        signal,
      });
      const cost = costs({
        runId,
        stepKey,
        service: 'training',
        resource: trainer,
        quantity: seconds,
        unit: 'seconds',
        amountMicroUsd: costMicroUsd,
        at: context.nowMs,
      });
      const entry = audit({
        kind: 'action',
        action: `train.${trainer}`,
        actor: by,
        object: `run:${runId}`,
        at: context.nowMs,
        payload: { stepKey, idempotencyKey, output },
      });
      return {
        output,
        writes: [cost, entry],
        pins: version
          ? [{ kind: 'model', name: version.name, version: String(version.version), digest: version.digest }]
          : [],
      };
    },
  };
}
