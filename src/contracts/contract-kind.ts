import { canonicalize } from '../kernel/canonical.ts';
import { locateIssue, type SourceDocument, validateDocument } from '../kernel/document.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { compileSchema } from '../kernel/schema.ts';
import { avroContract } from './avro-contract.ts';
import { CONTENT_MODELS, type CompatibilityMode, type ContentModel, MODES } from './compatibility.ts';
import {
  checkWindow,
  isMeasured,
  measuredRule,
  QUALITY_SCHEMA,
  type QualityRule,
  type WindowLimits,
} from './quality-rules.ts';
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
  /** JSON Schema 2020-12 of the event's `data`. With `avro` it follows from that. */
  schema: JsonObject;
  /** Avro schema of the event's `data`, as JSON: how it is written where bytes are written, and what its versions are compared by. */
  avro?: Json;
  /** What of the schema was taken from versions of other contracts when it was registered: the schema itself is whole. */
  references?: SchemaReference[];
  quality?: QualityRule[];
  /** What is done with an event that does not fit the schema: `refuse` when left out. */
  onInvalid?: 'refuse' | 'quarantine';
  /** Who answers for it, besides the owner. */
  team?: TeamMember[];
  slaProperties?: ServiceLevel[];
}

/** A version of another contract, and what a schema calls it. */
export interface SchemaReference {
  name: string;
  contract: string;
  version: string;
}

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
  compileAt('/schema', () => compileSchema(body.schema), locate);
  const names = new Set<string>();
  for (const [index, level] of (body.slaProperties ?? []).entries())
    compileAt(
      `/slaProperties/${index}`,
      () => {
        for (const rule of serviceLevelRules([level])) {
          checkWindow(rule, limits);
          names.add(rule.name);
        }
      },
      locate,
    );
  for (const [index, rule] of (body.quality ?? []).entries()) {
    const place = `/quality/${index}`;
    if (rule.rule !== undefined) compileAt(`${place}/rule`, () => compileExpression(rule.rule!), locate);
    if (!isMeasured(rule)) continue;
    compileAt(place, () => checkWindow(measuredRule(rule), limits), locate);
    const { name } = measuredRule(rule);
    if (names.has(name)) {
      const message = `two rules are named “${name}”; give one of them a name of its own`;
      throw new AiosError('definition.invalid', { issues: [locate({ path: place, message })] });
    }
    names.add(name);
  }
  return { name: body.name, body: body as unknown as JsonObject };
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

function compileAt(path: string, compileIt: () => unknown, locate: (issue: Issue) => Issue): void {
  try {
    compileIt();
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    const { code, message, extensions } = error;
    throw new AiosError(code, { issues: [locate({ path, message })], extensions, cause: error });
  }
}
