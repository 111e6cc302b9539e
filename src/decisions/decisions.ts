import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Definition, Definitions } from '../store/definitions.ts';
import { compileTable, type Evaluation, type Table } from './table.ts';

/** An answer with the version of the table that gave it. */
export interface Decided extends Evaluation {
  version: number;
  digest: string;
}

interface Compiled {
  readonly version: number;
  readonly digest: string;
  readonly table: Table;
}

/**
 * The decision tables in force, compiled once for each version.
 *
 * @example createDecisions({ definitions }).evaluate('return-policy', { risk: 0.1, amount: 20 }).output
 */
export function createDecisions(dependencies: { definitions: DecisionSource }): Decisions {
  return new Decisions(dependencies.definitions);
}

type DecisionSource = Pick<Definitions, 'list' | 'onChange' | 'version'>;

export class Decisions {
  readonly #tables = new Map<string, Compiled>();
  readonly #definitions: DecisionSource;

  constructor(definitions: DecisionSource) {
    this.#definitions = definitions;
    for (const definition of definitions.list('decision')) this.#compile(definition);
    definitions.onChange((changed) => {
      for (const definition of changed) if (definition.kind === 'decision') this.#compile(definition);
    });
  }

  /**
   * Decides. Pure: the same version and input give the same answer.
   *
   * @throws AiosError `decisions.unknown`, `decisions.input_invalid`, `decisions.ambiguous`, `decisions.no_rule`,
   * `decisions.output_invalid`, `expression.failed` naming the rule
   */
  evaluate(name: string, input: JsonObject): Decided {
    const compiled = this.#tables.get(name);
    if (!compiled) throw new AiosError('decisions.unknown', { detail: `There is no decision “${name}”.` });
    return decide(compiled, input);
  }

  /**
   * Decides as a version did that may be long over: what an audit entry holds, given again, comes out the same.
   *
   * @throws AiosError those of `evaluate`
   */
  async evaluateVersion(name: string, version: number, input: JsonObject): Promise<Decided> {
    if (this.#tables.get(name)?.version === version) return this.evaluate(name, input);
    const definition = await this.#definitions.version('decision', name, version);
    if (!definition)
      throw new AiosError('decisions.unknown', { detail: `Decision “${name}” has no version ${version}.` });
    return decide(compiled(definition), input);
  }

  #compile(definition: Definition): void {
    this.#tables.set(definition.name, compiled(definition));
  }
}

function compiled({ version, digest, body }: Definition): Compiled {
  return { version, digest, table: compileTable(body) };
}

function decide({ table, version, digest }: Compiled, input: JsonObject): Decided {
  const { output, rule, rules, reason } = table.evaluate(input);
  return { output, rule, rules, reason, version, digest };
}
