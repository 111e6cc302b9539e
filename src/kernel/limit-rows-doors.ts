import { limit } from './limit-row.ts';

/** Limits of what comes in by the doors, whoever sends it. */
export const DOOR_LIMITS = {
  bodyIntakeBytesMax: limit(
    256 * 1024 * 1024,
    'total bytes of request bodies and gRPC messages over 64 KiB that one process may hold while it reads or answers them; past it callers get 429 with Retry-After',
  ),
  doorConnectionsMax: limit(
    4_000,
    'connections of each HTTP and gRPC listener of a process; each may hold 64 KiB of a body before its key is checked',
  ),
  requestIdCharsMax: limit(
    128,
    'characters of an `x-request-id` header; a request with a longer one gets a generated id',
  ),
  grpcCallsMax: limit(
    256,
    'concurrent calls on one gRPC connection; clients hold further calls back, as HTTP/2 requires',
  ),
  inferenceStreamsMax: limit(
    200,
    'gRPC inference streams open in one process; each holds up to 64 requests with their answers',
  ),
};
