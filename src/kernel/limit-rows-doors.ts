import { limit } from './limit-row.ts';

/** Limits of what comes in by the doors, whoever sends it. */
export const DOOR_LIMITS = {
  bodyIntakeBytesMax: limit(
    256 * 1024 * 1024,
    'bytes of bodies and gRPC messages over 64 KiB that are read or wait for their answer in one process; callers are asked to come again past it',
  ),
  doorConnectionsMax: limit(
    4_000,
    'connections of each door of a process; each may hold 64 KiB of a body before its key is looked at',
  ),
  requestIdCharsMax: limit(
    128,
    'characters of an `x-request-id` that is taken from its caller; a request with a longer one gets an id of ours',
  ),
  grpcCallsMax: limit(
    256,
    'calls under way on one connection of the gRPC door; clients keep more back, as HTTP/2 tells them to',
  ),
  inferenceStreamsMax: limit(
    200,
    'streams of inferences by gRPC open in one process; each holds up to 64 requests with their answers',
  ),
};
