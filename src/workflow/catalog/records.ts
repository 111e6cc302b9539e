import type { Json } from '../../kernel/json.ts';
import type { MicroUsd } from '../../kernel/money.ts';
import type { Write } from '../../store/lane.ts';
import type { StepContext } from './primitive.ts';

/** The write of an audit entry: what was done, by whom, to what; the payload lies outside the log. */
export type AuditPort = (entry: {
  kind: string;
  action: string;
  actor: { kind: string; id: string };
  object: string;
  /** The person whose data the payload holds: erasing them makes it unreadable. */
  subject?: string;
  at: number;
  payload: Json;
}) => Write;

/** The write of a cost entry. */
export type CostPort = (entry: {
  runId?: string;
  stepKey?: string;
  service: string;
  resource: string;
  quantity: number;
  unit: string;
  amountMicroUsd: MicroUsd;
  at: number;
}) => Write;

/** Who a flow acts as in the audit log. */
export function actorOf({ workflow }: StepContext): { kind: string; id: string } {
  return { kind: 'workflow', id: workflow };
}
