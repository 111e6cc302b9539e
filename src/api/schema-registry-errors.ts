import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';

/** Confluent's codes (Schema Registry API reference, “Errors”); the status is in the first three digits. */
export const REGISTRY_ERROR = {
  subjectNotFound: 40401,
  versionNotFound: 40402,
  schemaNotFound: 40403,
  subjectSoftDeleted: 40404,
  subjectNotSoftDeleted: 40405,
  versionSoftDeleted: 40406,
  versionNotSoftDeleted: 40407,
  noSubjectLevelCompatibility: 40408,
  noSubjectLevelMode: 40409,
  invalidSchema: 42201,
  invalidVersion: 42202,
  invalidCompatibility: 42203,
  invalidMode: 42204,
  notPermitted: 42205,
  referenceExists: 42206,
} as const;

/** Confluent's codes, by ours. */
const BY_CODE: Readonly<Record<string, number>> = {
  'access.forbidden': 40301,
  'definition.not_found': REGISTRY_ERROR.subjectNotFound,
  'contracts.unknown_version': REGISTRY_ERROR.versionNotFound,
  'definition.invalid': REGISTRY_ERROR.invalidSchema,
  'request.too_deep': REGISTRY_ERROR.invalidSchema,
  'request.invalid': 422,
  'contracts.incompatible': 409,
  internal: 50001,
};

/** Whether an address is of the schema registry, whose clients go by its codes. */
export function isSchemaRegistryPath(url: string): boolean {
  return url.startsWith('/schema-registry/');
}

/** An error by one of Confluent's codes. */
export function registryError(name: keyof typeof REGISTRY_ERROR, detail: string): AiosError {
  return new AiosError('request.invalid', { detail, extensions: { errorCode: REGISTRY_ERROR[name] } });
}

/**
 * An error in the shape of Confluent's registry, with the code of ours and the way forward in its message.
 *
 * @example schemaRegistryError(new AiosError('definition.not_found')).body.error_code // 40401, under the status 404
 */
export function schemaRegistryError(problem: AiosError): { status: number; body: JsonObject } {
  const known = problem.extensions.errorCode;
  const code = typeof known === 'number' ? known : (BY_CODE[problem.code] ?? problem.status);
  const { detail, hint } = problem.toProblem();
  const message = typeof known === 'number' ? detail : `${detail} ${hint} (${problem.code})`;
  return { status: code > 999 ? Math.floor(code / 100) : code, body: { error_code: code, message } };
}
