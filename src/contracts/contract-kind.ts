import { canonicalize } from '../kernel/canonical.ts';
import { locateIssue, type SourceDocument, validateDocument } from '../kernel/document.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';
import type { JsonObject } from '../kernel/json.ts';
import { compileSchema } from '../kernel/schema.ts';
import { avroContract } from './avro-contract.ts';
import { CONTENT_MODELS, MODES } from './compatibility.ts';
import type { ContractBody } from './contract-body.ts';
import {
  checkMeasure,
  checkWindow,
  isMeasured,
  measuredRule,
  QUALITY_SCHEMA,
  type QualityRule,
  type WindowLimits,
} from './quality-rules.ts';
import { SERVICE_LEVELS_SCHEMA, serviceLevelRules, TEAM_SCHEMA } from './service-levels.ts';

const SEMANTIC = '^\\d+\\.\\d+\\.\\d+$';
const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'version', 'owner'],
  properties: {
    name: { type: 'string', minLength: 1 },
    version: { type: 'string', pattern: SEMANTIC },
    owner: { type: 'string', minLength: 1 },
    description: { type: 'string' },
    compatibility: { enum: [...MODES] },
    contentModel: { enum: [...CONTENT_MODELS] },
    schema: { type: 'object' },
    avro: { type: ['string', 'object', 'array'] },
    references: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['name', 'contract', 'version'],
        properties: {
          name: { type: 'string', minLength: 1 },
          contract: { type: 'string', minLength: 1 },
          version: { type: 'string', pattern: SEMANTIC },
        },
      },
    },
    quality: {
      type: 'array',
      items: QUALITY_SCHEMA,
    },
    onInvalid: { enum: ['refuse', 'quarantine'] },
    team: TEAM_SCHEMA,
    slaProperties: SERVICE_LEVELS_SCHEMA,
  },
});

/**
 * Reads a contract and compiles what it contains.
 *
 * @throws AiosError `definition.invalid`, `expression.syntax` with file and line
 */
export function parseContract(
  document: SourceDocument,
  limits: WindowLimits,
): { name: string; body: JsonObject } {
  validateDocument(document, validate);
  const locate = (issue: Issue) => locateIssue(document, issue);
  const body = withSchema(document.value as unknown as ContractBody, locate);
  const faults = new Faults(locate);
  faults.at('/schema', () => compileSchema(body.schema));
  const names = new Set<string>();
  for (const [index, level] of (body.slaProperties ?? []).entries())
    faults.at(`/slaProperties/${index}`, () => {
      for (const rule of serviceLevelRules([level])) {
        checkWindow(rule, limits);
        names.add(rule.name);
      }
    });
  for (const [index, rule] of (body.quality ?? []).entries())
    checkQualityRule(rule, { place: `/quality/${index}`, names, faults, limits });
  faults.throwAny();
  return { name: body.name, body: body as unknown as JsonObject };
}

interface RulePlace {
  readonly place: string;
  /** Of the rules before it. */
  readonly names: Set<string>;
  readonly faults: Faults;
  readonly limits: WindowLimits;
}

function checkQualityRule(rule: QualityRule, { place, names, faults, limits }: RulePlace): void {
  if (rule.rule !== undefined && !faults.at(`${place}/rule`, () => compileExpression(rule.rule!))) return;
  if (!isMeasured(rule)) return;
  faults.at(place, () => {
    const measured = measuredRule(rule);
    checkMeasure(rule);
    const { name } = measured;
    const isTaken = names.has(name);
    names.add(name);
    if (isTaken)
      throw new AiosError('definition.invalid', {
        detail: `two rules are named “${name}”; give one of them a name of its own`,
      });
    checkWindow(measured, limits);
  });
}

/** What is wrong in a contract, all of it: who mends one fault should not be told of the next one only then. */
class Faults {
  readonly #locate: (issue: Issue) => Issue;
  #first: AiosError | undefined;
  readonly #issues: Issue[] = [];

  constructor(locate: (issue: Issue) => Issue) {
    this.#locate = locate;
  }

  /** Runs a check; true when it found nothing. */
  at(path: string, check: () => unknown): boolean {
    try {
      check();
      return true;
    } catch (error) {
      if (!(error instanceof AiosError)) throw error;
      this.#first ??= error;
      this.#issues.push(this.#locate({ path, message: error.message }));
      return false;
    }
  }

  /** @throws AiosError with the code of the first fault, and all of them */
  throwAny(): void {
    if (!this.#first) return;
    const { code, extensions } = this.#first;
    throw new AiosError(code, { issues: this.#issues, extensions, cause: this.#first });
  }
}

/** With the JSON Schema that follows from an Avro schema; one that stands beside it is that one, as it is where a contract was read back. */
function withSchema(body: ContractBody, locate: (issue: Issue) => Issue): ContractBody {
  const { avro } = body;
  const invalid = (issues: Issue[]) => new AiosError('definition.invalid', { issues: issues.map(locate) });
  if (avro === undefined) {
    if (body.schema !== undefined) return body;
    throw invalid([{ path: '', message: 'schema is required, or avro', expected: 'schema' }]);
  }
  let derived: JsonObject;
  try {
    derived = avroContract(avro).schema;
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    throw invalid(error.issues.map((issue) => ({ ...issue, path: `/avro${issue.path}` })));
  }
  if (body.schema !== undefined && canonicalize(body.schema) !== canonicalize(derived)) {
    const message = 'follows from `avro`; leave it out. What Avro cannot say is a quality rule';
    throw invalid([{ path: '/schema', message }]);
  }
  return { ...body, schema: derived };
}
