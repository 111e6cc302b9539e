import { digestOf } from '../kernel/canonical.ts';
import type { CloudEvent } from '../kernel/cloudevent.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import { compileExpression, type Expression } from '../kernel/expressions.ts';
import type { Json } from '../kernel/json.ts';
import { compileSchema, type Validator } from '../kernel/schema.ts';
import type { DefinitionKind } from '../store/definition-kind.ts';
import type { Definition, Definitions } from '../store/definitions.ts';
import { type Assessment, assess, compareVersions, meaningOf } from './assessment.ts';
import type { CompatibilityMode } from './compatibility.ts';
import type { ContractBody } from './contract-body.ts';
import { parseContract } from './contract-kind.ts';
import { isMeasured, type MeasuredRule, measuredRule, type WindowLimits } from './quality-rules.ts';
import { serviceLevelRules } from './service-levels.ts';

interface Compiled {
  readonly version: string;
  /** What an event is told that is held to it. */
  readonly checked: { readonly contract: string; readonly version: string };
  readonly validate: Validator;
  readonly rules: readonly { holds: Expression; message: string; isQuarantine: boolean }[];
  readonly measured: readonly MeasuredRule[];
  readonly quarantinesInvalid: boolean;
}

/**
 * The contracts in force. Every version that was ever accepted stays usable: an event may name one with the `dataversion` attribute.
 *
 * @example contracts.check(event) // { contract: 'return.requested', version: '1.2.0' }
 */
export class Contracts {
  readonly #definitions: Definitions;
  readonly #defaultMode: () => Promise<CompatibilityMode>;
  /** By type, newest version first. */
  readonly #compiled = new Map<string, Compiled[]>();
  #measuredTypes: readonly string[] = [];
  readonly kind: DefinitionKind;

  /** @param defaultMode what contracts are held to that name no mode, asked anew with each change */
  constructor(definitions: Definitions, defaultMode: () => Promise<CompatibilityMode>, limits: WindowLimits) {
    this.#definitions = definitions;
    this.#defaultMode = defaultMode;
    definitions.onChange((changed) => this.#load(changed));
    this.kind = {
      kind: 'contract',
      folder: 'contracts',
      parse: (document) => parseContract(document, limits),
      schemas: ({ avro, schema }) => (avro === undefined ? [['/schema', schema!]] : []),
      checkChange: (name, body) => this.#checkChange(name, body as unknown as ContractBody),
    };
  }

  /**
   * Holds an event to its contract.
   *
   * @throws AiosError `contracts.unknown_type`, `contracts.unknown_version`, `contracts.data_invalid`
   */
  check(event: CloudEvent): Compiled['checked'] {
    const versions = this.#compiled.get(event.type);
    if (!versions)
      throw new AiosError('contracts.unknown_type', {
        detail: `No contract covers the type “${event.type}”.`,
      });
    const wanted = event.dataversion;
    const contract = wanted === undefined ? versions[0]! : versions.find(({ version }) => version === wanted);
    if (!contract) {
      throw new AiosError('contracts.unknown_version', {
        detail: `“${event.type}” has no version ${String(wanted)}; it has ${versions.map(({ version }) => version).join(', ')}.`,
      });
    }
    const issues = contract.validate(event.data ?? null);
    if (issues.length > 0) {
      const ofData = issues.map((issue) => ({ ...issue, path: `/data${issue.path}` }));
      throw invalid(contract, ofData, contract.quarantinesInvalid);
    }
    if (contract.rules.length > 0) checkRules(contract, event);
    return contract.checked;
  }

  /** The newest version of a type's contract. */
  newest(type: string): string | undefined {
    return this.#compiled.get(type)?.[0]?.version;
  }

  /** The rules of the newest version that are measured over windows. */
  measuredOf(type: string): readonly MeasuredRule[] {
    return this.#compiled.get(type)?.[0]?.measured ?? [];
  }

  /** The types of which something is measured. */
  measuredTypes(): readonly string[] {
    return this.#measuredTypes;
  }

  async #load(changed: readonly Definition[]): Promise<void> {
    for (const { kind, name } of changed) {
      if (kind !== 'contract') continue;
      const bodies = (await this.#definitions.versions('contract', name)).map(
        ({ body }) => body as unknown as ContractBody,
      );
      // The same semantic version may have been put again with another description, owner or measured rule: what it holds data to is the same.
      const unique = bodies.filter(
        ({ version }, index) => bodies.findIndex((other) => other.version === version) === index,
      );
      this.#compiled.set(
        name,
        unique.map((body) => compile(name, body)),
      );
    }
    this.#measuredTypes = [...this.#compiled].flatMap(([name, [newest]]) =>
      newest!.measured.length > 0 ? [name] : [],
    );
  }

  async #checkChange(name: string, next: ContractBody): Promise<void> {
    const accepted = (await this.#definitions.versions('contract', name)).map(
      ({ body }) => body as unknown as ContractBody,
    );
    const [newest] = accepted;
    if (!newest) return;
    const known = accepted.find(({ version }) => version === next.version);
    if (known && digestOf(meaningOf(known)) === digestOf(meaningOf(next)) && known === newest) return;
    const { mode, findings, checkedAgainst, change, suggestedVersion } = assess(
      accepted,
      next,
      next.compatibility ?? (await this.#defaultMode()),
    );
    const extensions = { suggestedVersion, checkedAgainst, findings: findings as unknown as Json };
    if (findings.length > 0) {
      const issues = findings.map((finding) =>
        toIssue(finding, next.avro === undefined ? '/schema' : '/avro'),
      );
      const detail = `${name} ${next.version} is not ${mode} compatible: ${issues.map(({ path, message }) => `${path}: ${message}`).join(' ')} Publish it as a type of its own, or as ${suggestedVersion} with compatibility NONE.`;
      throw new AiosError('contracts.incompatible', { detail, issues, extensions });
    }
    if (compareVersions(next.version, newest.version) <= 0) {
      const suggestion = change === 'none' ? newest.version : suggestedVersion;
      const message = `the schema or the quality rules changed, so the version must be higher than ${newest.version}`;
      throw new AiosError('contracts.incompatible', {
        detail: `${name}: ${message}; ${suggestion} would do.`,
        issues: [{ path: '/version', message, found: next.version, expected: suggestion }],
        extensions,
      });
    }
  }
}

/** A finding at its place in the new version. */
function toIssue(
  { direction, path, otherPath, message, hint, code, version }: Assessment['findings'][number],
  member: string,
): Issue {
  const place = direction === 'backward' ? path : otherPath;
  return { path: `${member}${place}`, message: `${message} ${hint}`, found: `${code}, against ${version}` };
}

function invalid({ checked }: Compiled, issues: Issue[], isQuarantine: boolean): AiosError {
  const onFail = isQuarantine ? { onFail: 'quarantine' } : {};
  return new AiosError('contracts.data_invalid', { issues, extensions: { ...checked, ...onFail } });
}

function checkRules(contract: Compiled, event: CloudEvent): void {
  const scope = { data: event.data, event };
  const issues: Issue[] = [];
  let isQuarantine = true;
  for (const { holds, message, isQuarantine: isKept } of contract.rules) {
    const fault = faultOf(holds, scope);
    if (!fault) continue;
    issues.push({ path: '/data', message, found: fault, expected: holds.source });
    isQuarantine &&= isKept;
  }
  if (issues.length > 0) throw invalid(contract, issues, isQuarantine);
}

/** Why a rule does not hold for an event; a rule that cannot work on the data does not hold, either. */
function faultOf(holds: Expression, scope: Readonly<Record<string, unknown>>): string | undefined {
  try {
    const result = holds(scope);
    return result === true ? undefined : JSON.stringify(result);
  } catch (error) {
    if (error instanceof AiosError && error.code === 'expression.failed') return error.message;
    throw error;
  }
}

function compile(
  contract: string,
  { version, schema, quality = [], slaProperties = [], onInvalid }: ContractBody,
): Compiled {
  return {
    version,
    checked: { contract, version },
    validate: compileSchema(schema),
    rules: quality
      .filter((rule) => !isMeasured(rule))
      .map(({ rule, message, onFail }) => ({
        holds: compileExpression(rule!),
        message: message!,
        isQuarantine: onFail === 'quarantine',
      })),
    measured: [...quality.filter(isMeasured).map(measuredRule), ...serviceLevelRules(slaProperties)],
    quarantinesInvalid: onInvalid === 'quarantine',
  };
}
