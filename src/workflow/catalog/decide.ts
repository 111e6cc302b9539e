import type { Json, JsonObject } from '../../kernel/json.ts';
import type { CallPrimitive, StepContext } from './primitive.ts';
import { type AuditPort, actorOf } from './records.ts';

/** What this primitive needs of the decision tables. */
export interface DecidePort {
  evaluate(
    name: string,
    input: JsonObject,
  ): {
    output: Json;
    rule: string | null;
    reason: string;
    version: number;
    digest: string;
  };
}

/**
 * `call: decide:1@default`: evaluates a decision table; the answer, the input it was given, the rule that gave it, the versions behind the input
 * (features, models), the flow and the event that it was for are an audit entry: what a run was made with can be proved by the log, not only be looked up.
 * `subject` names the person whose data the input holds.
 *
 * Output: `{ output: {…the table's answer}, rule, reason, decision, version }`.
 */
export function decidePrimitive(decisions: DecidePort, audit: AuditPort): CallPrimitive {
  return {
    name: 'decide',
    version: 1,
    kind: 'pure',
    inputSchema: {
      type: 'object',
      properties: {
        decision: { type: 'string', description: 'a decision table' },
        input: { type: 'object' },
        subject: { type: ['string', 'null'], description: 'the person whom it is about' },
      },
      required: ['decision', 'input'],
      additionalProperties: false,
    },
    run({ decision, input, subject }, context) {
      const name = decision as string;
      const { output, rule, reason, version, digest } = decisions.evaluate(name, input as JsonObject);
      const entry = audit({
        kind: 'decision',
        action: 'decided',
        actor: actorOf(context),
        object: `run:${context.runId}`,
        ...(typeof subject === 'string' ? { subject } : {}),
        at: context.nowMs,
        payload: {
          ...{ decision: name, version, digest, input: input!, output, rule, reason },
          madeWith: told(context),
          ...eventOf(context),
        },
      });
      return {
        output: { output, rule, reason, decision: name, version },
        writes: [entry],
        pins: [{ kind: 'decision', name, version: String(version), digest }],
      };
    },
  };
}

/** Which case it was, once the run and the event are gone: who brought the event knows it by these. */
function eventOf({ event: logged }: StepContext): { event?: { source: string; id: string } } {
  if (!logged) return {};
  const { source, id } = logged.event;
  return { event: { source, id } };
}

/** In one text each: what is kept for ever is kept small. @example ['model/return-risk@3#sha256:…'] */
function told({ madeWith }: StepContext): string[] {
  return madeWith.map(
    ({ kind, name, version, digest }) => `${kind}/${name}@${version}${digest ? `#${digest}` : ''}`,
  );
}
