import type { Case } from './case.ts';
import { BINARY_CASES, DATATYPE_CASES } from './rest-binary.ts';
import { OTHER_CASES, REPOSITORY_CASES, STATISTICS_CASES } from './rest-extensions.ts';
import { INFER_CASES, INFER_ERROR_CASES } from './rest-infer.ts';
import { MODEL_CASES, SERVER_CASES } from './rest-server.ts';

/** Every case of the REST protocol and its extensions, in the order of the specification. */
export const REST_CASES: readonly Case[] = [
  ...SERVER_CASES,
  ...MODEL_CASES,
  ...INFER_CASES,
  ...INFER_ERROR_CASES,
  ...DATATYPE_CASES,
  ...BINARY_CASES,
  ...REPOSITORY_CASES,
  ...STATISTICS_CASES,
  ...OTHER_CASES,
];
