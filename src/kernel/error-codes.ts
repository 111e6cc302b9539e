import type { ErrorRow } from './error-row.ts';
import { ACTING_ERRORS } from './error-rows-acting.ts';
import { CHAT_ERRORS } from './error-rows-chat.ts';
import { DATASET_ERRORS } from './error-rows-datasets.ts';
import { EVENT_ERRORS } from './error-rows-events.ts';
import { FEATURE_ERRORS } from './error-rows-features.ts';
import { GROUND_ERRORS } from './error-rows-ground.ts';
import { LINEAGE_ERRORS } from './error-rows-lineage.ts';
import { PATH_ERRORS } from './error-rows-path.ts';
import { START_ERRORS } from './error-rows-start.ts';
import { TRAINING_ERRORS } from './error-rows-training.ts';

/**
 * Every code that AIOS answers with, `module.reason`. Closed: a code that is not here does not compile, a code that
 * nothing throws or that `docs/errors.md` does not explain fails a test. Codes are stable: callers match on them.
 */
export const ERRORS = {
  ...GROUND_ERRORS,
  ...START_ERRORS,
  ...PATH_ERRORS,
  ...FEATURE_ERRORS,
  ...DATASET_ERRORS,
  ...LINEAGE_ERRORS,
  ...EVENT_ERRORS,
  ...TRAINING_ERRORS,
  ...CHAT_ERRORS,
  ...ACTING_ERRORS,
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;
