import { limit } from './limit-row.ts';

/** Limits of what comes in by the doors, whoever sends it. */
export const DOOR_LIMITS = {
  inferenceStreamsMax: limit(
    200,
    'streams of inferences by gRPC open in one process; each holds up to 64 requests with their answers',
  ),
};
