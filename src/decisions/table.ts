import { AiosError, type Issue } from '../kernel/errors.ts';
import { compileExpression, type Expression, nameChecker } from '../kernel/expressions.ts';
import { blankOf, type Json, type JsonObject } from '../kernel/json.ts';
import { compileSchema, type Validator } from '../kernel/schema.ts';
import {
  asText,
  compileTemplate,
  conditionSource,
  isConstant,
  isInputName,
  type Scope,
  type Template,
} from './cells.ts';
import { bindInputs, type InputSpec, readInputs } from './inputs.ts';

/** DMN 1.5, section 8.2.10, the names in small letters. `priority` compares the rules' numbers, the highest first. */
type HitPolicy = 'unique' | 'first' | 'priority' | 'collect';

/** What a table answers. With `collect`, `output` is a list and `rule` is null unless one alone fitted. */
export interface Evaluation {
  output: Json;
  /** The rule that decided; `default` when none fitted. */
  rule: string | null;
  /** Every rule that the answer rests on. */
  rules: string[];
  /** In words, for people. */
  reason: string;
}

interface Rule {
  readonly id: string;
  readonly fits: Expression;
  readonly output: Template;
  /** Constant outputs were checked when the table was compiled. */
  readonly checkOutput: boolean;
  readonly reason: Template;
  readonly priority: number;
}

export interface Table {
  readonly name: string;
  evaluate(input: JsonObject): Evaluation;
}

interface RuleBody {
  id: string;
  when?: Json;
  then: JsonObject;
  reason?: string;
  priority?: number;
}

interface TableBody {
  name: string;
  hitPolicy: HitPolicy;
  inputs: Json;
  outputs: JsonObject;
  rules: RuleBody[];
  default?: { then: JsonObject; reason?: string };
}

/** A fault of the table's text: where, and what. */
export class CellFault extends Error {
  readonly path: string;
  readonly fault: AiosError;
  /** What stands there and what may, where the fault is a value. */
  readonly value: Pick<Issue, 'found' | 'expected' | 'meant'>;
  constructor(path: string, fault: AiosError, { found, expected, meant }: Partial<Issue> = {}) {
    super(fault.message);
    this.path = path;
    this.fault = fault;
    this.value = {
      ...(found !== undefined && { found }),
      ...(expected !== undefined && { expected }),
      ...(meant !== undefined && { meant }),
    };
  }
}

/**
 * Compiles a body that fits the schema of `decision-kind.ts`.
 *
 * @throws CellFault at the first cell that does not compile or constant output that does not fit
 */
export function compileTable(body: JsonObject): Table {
  const {
    name,
    hitPolicy,
    inputs,
    outputs,
    rules: ruleBodies,
    default: fallback,
  } = body as unknown as TableBody;
  const specs = readInputs(inputs);
  for (const [index, { name: input }] of specs.entries()) {
    const isTwice = specs.findIndex((spec) => spec.name === input) < index;
    if (isInputName(input) && !isTwice) continue;
    const detail = isTwice
      ? `“${input}” names two inputs`
      : `“${input}” cannot be named in an expression: letters, digits and _, not a digit first.`;
    throw new CellFault(
      Array.isArray(inputs) ? `/inputs/${index}/name` : `/inputs/${input}`,
      invalid(detail),
    );
  }
  const checkOutput = outputValidator(outputs);
  const names = specs.map((spec) => spec.name);
  const checkNames = nameChecker(names);
  const rules = ruleBodies.map((rule, index) =>
    compileRule(rule, `/rules/${index}`, specs, checkOutput, checkNames),
  );
  const otherwise =
    fallback && compileRule({ ...fallback, id: 'default' }, '/default', specs, checkOutput, checkNames);
  const blank = blankOf(names);
  const decide = { unique, first, priority: highest, collect: undefined }[hitPolicy];
  return {
    name,
    evaluate(input) {
      const scope = bindInputs(specs, input, blank);
      if (Array.isArray(scope)) throw new AiosError('decisions.input_invalid', { issues: scope });
      const answer = (rule: Rule) => outputOf(name, rule, scope, checkOutput);
      if (!decide)
        return collected(
          rules.filter((rule) => fits(name, rule, scope)).map(answer),
          otherwise && answer(otherwise),
        );
      const rule = decide(name, rules, scope) ?? otherwise;
      if (rule) return answer(rule);
      throw new AiosError('decisions.no_rule', { detail: `${name}: no rule fits ${JSON.stringify(scope)}.` });
    },
  };
}

function first(name: string, rules: readonly Rule[], scope: Scope): Rule | undefined {
  for (const rule of rules) if (fits(name, rule, scope)) return rule;
  return undefined;
}

function unique(name: string, rules: readonly Rule[], scope: Scope): Rule | undefined {
  let found: Rule | undefined;
  for (const rule of rules) {
    if (!fits(name, rule, scope)) continue;
    if (found) {
      throw new AiosError('decisions.ambiguous', {
        detail: `${name}: the rules “${found.id}” and “${rule.id}” both fit ${JSON.stringify(scope)}.`,
        extensions: { rules: [found.id, rule.id] },
      });
    }
    found = rule;
  }
  return found;
}

/** Of equal numbers the earlier rule wins. */
function highest(name: string, rules: readonly Rule[], scope: Scope): Rule | undefined {
  let found: Rule | undefined;
  for (const rule of rules)
    if ((!found || rule.priority > found.priority) && fits(name, rule, scope)) found = rule;
  return found;
}

function collected(answers: Evaluation[], otherwise: Evaluation | undefined): Evaluation {
  const all = answers.length > 0 || !otherwise ? answers : [otherwise];
  const rules = all.flatMap((answer) => answer.rules);
  return {
    output: all.map(({ output }) => output),
    rule: rules.length === 1 ? rules[0]! : null,
    rules,
    reason: all
      .map(({ reason }) => reason)
      .filter(Boolean)
      .join('; '),
  };
}

function fits(table: string, rule: Rule, scope: Scope): boolean {
  const result = named(table, rule, () => rule.fits(scope));
  if (typeof result === 'boolean') return result;
  throw new AiosError('expression.failed', {
    detail: `${table}, rule “${rule.id}”: ${rule.fits.source} gave ${JSON.stringify(result)} where true or false is needed.`,
    extensions: { rule: rule.id },
  });
}

function outputOf(table: string, rule: Rule, scope: Scope, checkOutput: Validator): Evaluation {
  const output = named(table, rule, () => rule.output(scope));
  if (rule.checkOutput) {
    const issues = checkOutput(output);
    if (issues.length > 0) {
      const detail = `${table}, rule “${rule.id}”: ${issues.map(({ path, message }) => `${path} ${message}`).join('; ')}`;
      throw new AiosError('decisions.output_invalid', { detail, issues });
    }
  }
  const reason = named(table, rule, () => rule.reason(scope));
  return { output, rule: rule.id, rules: [rule.id], reason: asText(reason) };
}

/** An expression that fails says in which rule. */
function named(table: string, rule: Rule, work: () => Json): Json {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    const detail = `${table}, rule “${rule.id}”: ${error.message}`;
    throw new AiosError(error.code, { detail, extensions: { rule: rule.id }, cause: error });
  }
}

function compileRule(
  body: RuleBody,
  path: string,
  specs: readonly InputSpec[],
  checkOutput: Validator,
  checkNames: (source: string) => void,
): Rule {
  const { id, when = {}, then, reason = '', priority = 0 } = body;
  const nullable = new Set(specs.flatMap((spec) => (spec.nullable ? [spec.name] : [])));
  const condition = conditionSource(when, nullable, (cell, source) => {
    const column = cell.slice(1);
    if (column && !specs.some(({ name }) => name === column)) {
      const known = specs.map(({ name }) => name).join(', ');
      throw new CellFault(
        `${path}/when${cell}`,
        invalid(`“${column}” is no input of the table; it has ${known}.`),
      );
    }
    at(`${path}/when${cell}`, () => {
      compileExpression(source);
      checkNames(source);
    });
  });
  const constant = isConstant(then);
  const [unfit] = constant ? checkOutput(then) : [];
  if (unfit) throw new CellFault(`${path}/then${unfit.path}`, invalid(unfit.message), unfit);
  return {
    id,
    fits: compileExpression(condition),
    output: at(`${path}/then`, () => compileTemplate(then, checkNames)),
    checkOutput: !constant,
    reason: at(`${path}/reason`, () => compileTemplate(reason, checkNames)),
    priority,
  };
}

function outputValidator(outputs: JsonObject): Validator {
  const properties = Object.fromEntries(
    Object.entries(outputs).map(([name, spec]) => [name, typeof spec === 'string' ? ofType(spec) : spec]),
  );
  return at('/outputs', () =>
    compileSchema({
      type: 'object',
      properties,
      required: Object.keys(outputs),
      additionalProperties: false,
    }),
  );
}

function ofType(type: string): Json {
  return type === 'any' ? true : { type };
}

function at<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof AiosError ? new CellFault(path, error) : error;
  }
}

function invalid(detail: string): AiosError {
  return new AiosError('definition.invalid', { detail });
}
