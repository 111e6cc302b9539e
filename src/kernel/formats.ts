import type { Ajv } from 'ajv';
import formatsPlugin from 'ajv-formats';
import { isPlainInstant } from './instant.ts';

/**
 * Gives a compiler of JSON Schemas the formats of draft 2020-12 ("Defined Formats", section 7.3 of the validation vocabulary), as ajv-formats knows them.
 *
 * @example const ajv = addFormats(new Ajv()); ajv.validate({ type: 'string', format: 'date' }, '2026-02-30') // false
 */
export function addFormats<Compiler extends Pick<Ajv, 'addFormat' | 'formats'>>(ajv: Compiler): Compiler {
  (formatsPlugin as unknown as (ajv: Compiler) => void)(ajv);
  const dateTime = ajv.formats['date-time'] as { validate(text: string): boolean };
  ajv.addFormat('date-time', {
    ...dateTime,
    validate: (text: string) => isPlainInstant(text) || dateTime.validate(text),
  });
  return ajv;
}

/**
 * Lets a compiler with these formats take as `date-time` only what has a number of milliseconds: RFC 3339 knows leap seconds, and JavaScript reads none of them.
 *
 * @example const ajv = onlyInstants(addFormats(new Ajv())); ajv.validate({ type: 'string', format: 'date-time' }, '2016-12-31T23:59:60Z') // false
 */
export function onlyInstants<Compiler extends Pick<Ajv, 'addFormat' | 'formats'>>(ajv: Compiler): Compiler {
  const dateTime = ajv.formats['date-time'] as { validate(text: string): boolean };
  ajv.addFormat('date-time', {
    ...dateTime,
    validate: (text: string) =>
      isPlainInstant(text) || (dateTime.validate(text) && !Number.isNaN(Date.parse(text))),
  });
  return ajv;
}
