import { canonicalize, digestOf } from '../kernel/canonical.ts';
import type { JsonObject } from '../kernel/json.ts';
import { sameSchema } from './avro-contract.ts';
import { type CompatibilityMode, type ContentModel, type Finding, isSameMeaning } from './compatibility.ts';
import type { ContractBody } from './contract-body.ts';
import { isMeasured } from './quality-rules.ts';
import { versionFindings } from './version-findings.ts';

const DEFAULT_CONTENT_MODEL: ContentModel = 'declared';

/** What a change of a contract comes to, held against the versions that its mode names. */
export interface Assessment {
  mode: CompatibilityMode;
  contentModel: ContentModel;
  /** Versions that it was checked against: the newest, or all of them where the mode is transitive; none for NONE. */
  checkedAgainst: string[];
  isCompatible: boolean;
  findings: (Finding & { version: string })[];
  /** By semantic versioning: what breaks is major, what else means another set of events minor, what means the same patch. */
  change: 'none' | 'patch' | 'minor' | 'major';
  /** The version that such a change should get; that of the newest when nothing changed. */
  suggestedVersion: string;
}

type Changing = Pick<ContractBody, 'schema' | 'avro' | 'compatibility' | 'contentModel' | 'quality'>;

/**
 * Holds a changed contract against its accepted versions.
 *
 * @param accepted newest first
 * @param defaultMode what a contract is held to that names no mode
 * @param newestVersion that the suggested one rises above, where `accepted` is an older one alone
 * @example assess([{ version: '1.2.0', schema: { type: 'number' }, … }], { schema: { type: 'integer' } }, 'BACKWARD').suggestedVersion // '2.0.0'
 */
export function assess(
  accepted: readonly ContractBody[],
  next: Changing,
  defaultMode: CompatibilityMode,
  newestVersion = accepted[0]?.version,
): Assessment {
  const mode = next.compatibility ?? defaultMode;
  const contentModel = next.contentModel ?? DEFAULT_CONTENT_MODEL;
  const [newest] = accepted;
  const versions = new Map(accepted.toReversed().map((contract) => [contract.version, contract])); // reworded ones count once
  const all = [...versions.values()].reverse();
  const against = mode === 'NONE' ? [] : mode.endsWith('_TRANSITIVE') ? all : all.slice(0, 1);
  const findings = against.flatMap((previous) =>
    versionFindings(mode, previous, next, contentModel).map((finding) => ({
      ...finding,
      version: previous.version,
    })),
  );
  const base = {
    mode,
    contentModel,
    checkedAgainst: [...new Set(against.map(({ version }) => version))],
    isCompatible: findings.length === 0,
    findings,
  };
  if (!newest || newestVersion === undefined) return { ...base, change: 'none', suggestedVersion: '1.0.0' };
  const change = changeOf(newest, next, findings.length > 0, { mode, contentModel });
  // What is the same as an older version needs none of its own.
  const suggestedVersion = change === 'none' ? newest.version : raised(newestVersion, change);
  return { ...base, change, suggestedVersion };
}

function changeOf(
  newest: ContractBody,
  next: Changing,
  isBreaking: boolean,
  { mode, contentModel }: Pick<Assessment, 'mode' | 'contentModel'>,
): Assessment['change'] {
  if (isBreaking) return 'major';
  if (digestOf(meaningOf(newest)) === digestOf(meaningOf(next))) return 'none';
  // Under NONE nothing is promised, but readers of the newest version still want to know.
  const breaks = () => versionFindings('BACKWARD', newest, next, contentModel).length > 0;
  if (mode === 'NONE' && breaks()) return 'major';
  const hasSameRules = canonicalize(rulesOf(newest)) === canonicalize(rulesOf(next));
  return hasSameRules && isSameMeaning(newest.schema, next.schema) ? 'patch' : 'minor';
}

function raised(version: string, change: 'patch' | 'minor' | 'major'): string {
  const [major, minor, patch] = version.split('.').map(Number) as [number, number, number];
  if (change === 'major') return `${major + 1}.0.0`;
  if (change === 'minor') return `${major}.${minor + 1}.0`;
  return `${major}.${minor}.${patch + 1}`;
}

/** What a version promises: once accepted it stays. Owner, description, measured quality and service levels may be reworded. */
export function meaningOf(contract: Changing): JsonObject {
  return { ...sameSchema(contract), rules: rulesOf(contract) };
}

function rulesOf({ quality = [] }: Changing): string[] {
  return quality.flatMap((rule) => (isMeasured(rule) ? [] : (rule.rule ?? [])));
}

export function compareVersions(a: string, b: string): number {
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let i = 0; i < 3; i++) if (left[i] !== right[i]) return left[i]! - right[i]!;
  return 0;
}
