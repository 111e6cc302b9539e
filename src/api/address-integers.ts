import type { ErrorObject, ValidateFunction } from 'ajv';
import { isObject, type JsonObject } from '../kernel/json.ts';

const DECIMAL = /^-?\d+$/;

/**
 * Lets a validator of what stands in an address, which makes numbers of texts, take decimal digits alone where its schema says integer: ajv reads as JavaScript does, for which `0x1`,
 * `1e0` and a blank before a 1 are 1, too.
 *
 * @example onlyDecimals(ajv.compile(schema), schema)({ version: '0x1' }) // false
 */
export function onlyDecimals(validate: ValidateFunction, { properties }: JsonObject): ValidateFunction {
  const names = Object.entries(isObject(properties) ? properties : {}).flatMap(([name, schema]) =>
    isObject(schema) && schema.type === 'integer' ? [name] : [],
  );
  if (names.length === 0) return validate;
  const decimals = (given: Record<string, unknown>): boolean => {
    const wrong = names.filter((name) => typeof given[name] === 'string' && !DECIMAL.test(given[name]));
    if (wrong.length === 0) {
      const isValid = validate(given) as boolean;
      decimals.errors = validate.errors;
      return isValid;
    }
    decimals.errors = wrong.map((name) => ({
      ...{ instancePath: `/${name}`, schemaPath: '', keyword: 'type', params: { type: 'integer' } },
      message: 'must be a whole number in decimal digits',
    }));
    return false;
  };
  decimals.errors = undefined as ErrorObject[] | null | undefined;
  return decimals as unknown as ValidateFunction;
}
