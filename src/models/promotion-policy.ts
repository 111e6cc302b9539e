import type { Issue } from '../kernel/errors.ts';
import { AiosError } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';

/** What must be before a version gets the traffic of an alias: by a promotion, or a share of it by a rollout. */
export interface PromotionPolicy {
  /** How many people must approve. */
  readonly approvals: number;
  /** Groups or roles, one of which each of them is in; anybody who may approve when left out. */
  readonly of?: readonly string[];
  /** Whether the approval of whoever registered the version does not count; true when left out. */
  readonly fourEyes?: boolean;
  /** Expressions in CEL over `version`, `card`, `metadata` and `rollout` (its figures, or null); each must be true. */
  readonly checks?: readonly string[];
}

export const NO_POLICY: PromotionPolicy = { approvals: 0 };

const texts = { type: 'array', items: { type: 'string', minLength: 1 }, maxItems: 50 };

/** The member `promotion` of a model's definition. */
export const PROMOTION_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: {
    approvals: { type: 'integer', minimum: 0, maximum: 20 },
    of: { ...texts, minItems: 1 },
    fourEyes: { type: 'boolean' },
    checks: texts,
  },
  required: ['approvals'],
};

/** The checks of a policy that do not compile. */
export function policyIssues(policy: PromotionPolicy | undefined): Issue[] {
  return (policy?.checks ?? []).flatMap((check, i): Issue[] => {
    try {
      compileExpression(check);
      return [];
    } catch (error) {
      if (!(error instanceof AiosError)) throw error;
      return [{ path: `/promotion/checks/${i}`, message: error.message, found: check }];
    }
  });
}

export interface CheckOutcome {
  readonly check: string;
  readonly passed: boolean;
  /** Why it could not be answered. */
  readonly detail?: string;
}

/** @example runChecks(['card.auc >= 0.8'], { card: { auc: 0.82 }, … }) // [{ check: 'card.auc >= 0.8', passed: true }] */
export function runChecks(
  checks: readonly string[],
  scope: Readonly<Record<'version' | 'card' | 'metadata' | 'rollout', unknown>>,
): CheckOutcome[] {
  return checks.map((check) => {
    try {
      return { check, passed: compileExpression(check)(scope) === true };
    } catch (error) {
      const [line = ''] = (error as Error).message.replace(`${check}: `, '').split('\n'); // below it stands a drawing
      return { check, passed: false, detail: line };
    }
  });
}
