import type { JsonObject } from '../kernel/json.ts';
import { rowByRow } from './failed-row.ts';
import type { FunctionModules } from './functions/function-modules.ts';
import { functionsOf } from './functions/view-code.ts';
import { typedValue } from './values.ts';
import type { OnDemandViewBody, ValueType } from './view-documents.ts';
import type { FeatureValue } from './windows/state.ts';

/** What a function of an on-demand view sees: the features of the view's inputs, the request's values, the time in milliseconds. */
export interface FunctionInput {
  readonly features: Readonly<Record<string, FeatureValue>>;
  readonly request: JsonObject;
  readonly nowMs: number;
}

/** The features that the code of one view computes. */
export interface CodedFeatures {
  readonly names: readonly string[];
  /** Of each row their values, in the order of the names. @throws AiosError `features.function_failed`, `features.function_stopped`, `features.invalid_value` */
  compute(rows: readonly FunctionInput[]): Promise<FeatureValue[][]>;
}

/** The features of a view whose functions are its code; undefined for a view without code. */
export function codedFeatures(
  { name: view, module, code, features }: OnDemandViewBody,
  modules: FunctionModules,
): CodedFeatures | undefined {
  if (code === undefined) return undefined;
  const source = { code, file: module ?? `${view}.ts` };
  const called = functionsOf(features as unknown as JsonObject);
  const names = Object.keys(called);
  const functions = Object.values(called);
  const types: ValueType[] = names.map((name) => features[name]!.type);
  return {
    names,
    async compute(rows) {
      const answers = await modules.compute(
        source,
        functions,
        rows.map((row) => JSON.stringify(row)),
      );
      return rowByRow(answers.length, (row) =>
        answers[row]!.map((value, at) => typedValue(`${view}.${names[at]!}`, types[at]!, value)),
      );
    },
  };
}
