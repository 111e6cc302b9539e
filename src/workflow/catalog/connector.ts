import type { Json, JsonObject } from '../../kernel/json.ts';
import type { MicroUsd } from '../../kernel/money.ts';
import type { CallPrimitive } from './primitive.ts';
import { type AuditPort, actorOf, type CostPort } from './records.ts';

/** What this primitive needs of the connectors. */
export interface ConnectorPort {
  call(call: {
    connector: string;
    operation: string;
    input: JsonObject;
    /** The same at every repetition of this step: how the receiver notices one. */
    idempotencyKey: string;
    signal: AbortSignal;
  }): Promise<{
    output: Json;
    costMicroUsd: MicroUsd;
    attempts: number;
    version: number;
    digest: string;
  }>;
}

/**
 * `call: connector:1@default`: acts on an outside system. Everything that the call is based on is durable before it is made; a repetition
 * after a crash carries the same idempotency key.
 *
 * Output: what the operation's mapping makes of the response.
 */
export function connectorPrimitive(
  connectors: ConnectorPort,
  costs: CostPort,
  audit: AuditPort,
): CallPrimitive {
  return {
    name: 'connector',
    version: 1,
    kind: 'effect',
    inputSchema: {
      type: 'object',
      properties: {
        connector: { type: 'string' },
        operation: { type: 'string' },
        input: { type: 'object' },
      },
      required: ['connector', 'operation'],
      additionalProperties: false,
    },
    async run({ connector, operation, input = {} }, context) {
      const name = connector as string;
      const { runId, stepKey, idempotencyKey, signal } = context;
      const answer = await connectors.call({
        connector: name,
        operation: operation as string,
        input: input as JsonObject,
        idempotencyKey,
        signal,
      });
      const { output, costMicroUsd, attempts, version, digest } = answer;
      const cost = costs({
        runId,
        stepKey,
        service: 'connector',
        resource: `${name}.${operation}`,
        quantity: attempts,
        unit: 'calls',
        amountMicroUsd: costMicroUsd,
        at: context.nowMs,
      });
      const entry = audit({
        kind: 'action',
        action: `${name}.${operation}`,
        actor: actorOf(context),
        object: `run:${runId}`,
        at: context.nowMs,
        payload: { stepKey, idempotencyKey, attempts },
      });
      return {
        output,
        writes: [cost, entry],
        pins: [{ kind: 'connector', name, version: String(version), digest }],
      };
    },
  };
}
