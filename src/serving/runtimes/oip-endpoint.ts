/** A model of a server that speaks the Open Inference Protocol (Triton, KServe, MLServer, Seldon, AIOS). */

import type { RemoteAccess } from './remote.ts';

export interface OipEndpoint {
  /** Where the protocol begins: `http://triton:8000`, before `/v2`; for gRPC `http://triton:8001`, or `https` with TLS. */
  readonly url: string;
  /** Its name there; the same as here when left out. */
  readonly model?: string;
  /** The server's choice when left out. */
  readonly version?: string;
  readonly protocol?: 'http' | 'grpc';
  /** Sent with each call (gRPC: as metadata); `${secrets.NAME}` is filled in at the start of a replica. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export interface RemoteRuntimeOptions {
  readonly access: RemoteAccess;
  /** How long the questions before the first run may take. */
  readonly startMs: number;
  readonly answerBytesMax: number;
}
