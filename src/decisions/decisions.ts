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
export function createDecisions(dependencies: {
  definitions: Pick<Definitions, 'list' | 'onChange'>;
}): Decisions {
  return new Decisions(dependencies.definitions);
}

export class Decisions {
  readonly #tables = new Map<string, Compiled>();

  constructor(definitions: Pick<Definitions, 'list' | 'onChange'>) {
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
    const { output, rule, rules, reason } = compiled.table.evaluate(input);
    return { output, rule, rules, reason, version: compiled.version, digest: compiled.digest };
  }

  #compile({ name, version, digest, body }: Definition): void {
    this.#tables.set(name, { version, digest, table: compileTable(body) });
  }
}
