import { locateIssue, type SourceDocument, validateDocument } from '../kernel/document.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';
import type { JsonObject } from '../kernel/json.ts';
import { compileSchema } from '../kernel/schema.ts';
import { CONTENT_MODELS, type CompatibilityMode, type ContentModel, MODES } from './compatibility.ts';
import { isMeasured, measuredRule, QUALITY_SCHEMA, type QualityRule } from './quality-rules.ts';
import {
  SERVICE_LEVELS_SCHEMA,
  type ServiceLevel,
  serviceLevelRules,
  TEAM_SCHEMA,
  type TeamMember,
} from './service-levels.ts';

/** A data contract, in the words of the Open Data Contract Standard where it has them. */
export interface ContractBody {
  /** The event type that it covers. */
  name: string;
  /** Semantic version: the author's promise, held to `compatibility`. */
  version: string;
  owner: string;
  description?: string;
  compatibility?: CompatibilityMode;
  /** What an object is taken to hold besides its declared properties when versions are compared. */
  contentModel?: ContentModel;
  /** JSON Schema 2020-12 of the event's `data`. */
  schema: JsonObject;
  quality?: QualityRule[];
  /** What is done with an event that does not fit the schema: `refuse` when left out. */
  onInvalid?: 'refuse' | 'quarantine';
  /** Who answers for it, besides the owner. */
  team?: TeamMember[];
  slaProperties?: ServiceLevel[];
}

const SEMANTIC = '^\\d+\\.\\d+\\.\\d+$';
const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'version', 'owner', 'schema'],
  properties: {
    name: { type: 'string', minLength: 1 },
    version: { type: 'string', pattern: SEMANTIC },
    owner: { type: 'string', minLength: 1 },
    description: { type: 'string' },
    compatibility: { enum: [...MODES] },
    contentModel: { enum: [...CONTENT_MODELS] },
    schema: { type: 'object' },
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
export function parseContract(document: SourceDocument): { name: string; body: JsonObject } {
  validateDocument(document, validate);
  const body = document.value as unknown as ContractBody;
  const locate = (issue: Issue) => locateIssue(document, issue);
  compileAt('/schema', () => compileSchema(body.schema), locate);
  const names = new Set(serviceLevelRules(body.slaProperties ?? []).map(({ name }) => name));
  for (const [index, rule] of (body.quality ?? []).entries()) {
    const place = `/quality/${index}`;
    if (rule.rule !== undefined) compileAt(`${place}/rule`, () => compileExpression(rule.rule!), locate);
    if (!isMeasured(rule)) continue;
    compileAt(place, () => measuredRule(rule), locate);
    const { name } = measuredRule(rule);
    if (names.has(name)) {
      const message = `two rules are named “${name}”; give one of them a name of its own`;
      throw new AiosError('definition.invalid', { issues: [locate({ path: place, message })] });
    }
    names.add(name);
  }
  return { name: body.name, body: document.value };
}

function compileAt(path: string, compileIt: () => unknown, locate: (issue: Issue) => Issue): void {
  try {
    compileIt();
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    throw new AiosError(error.code, { issues: [locate({ path, message: error.message })], cause: error });
  }
}
