import type { Metadata } from '@grpc/grpc-js';
import type { Quota } from '../kernel/quota.ts';
import { quotaHeaders } from './quota-headers.ts';
import { newRequestId, REQUEST_ID, takenRequestId } from './request-id.ts';

/** What is told of a call beside its answer or its error. */
export class GrpcHead {
  readonly requestId: string;
  /** What the caller has left of the limit that has counted the call. */
  #quota: Quota | undefined;

  /** @param charsMax `requestIdCharsMax` */
  constructor(metadata: Pick<ReadMetadata, 'get'>, charsMax: number) {
    const given = metadata.get(REQUEST_ID);
    this.requestId = (given.length === 1 && takenRequestId(given[0], charsMax)) || newRequestId();
  }

  readonly onQuota = (quota: Quota): void => {
    this.#quota = quota;
  };

  /**
   * Sets all of it, in whatever holds headers.
   *
   * @param quota what is left of the limit that refused the call
   * @example head.tell((name, value) => metadata.set(name, value))
   */
  tell(set: (name: string, value: string) => void, quota = this.#quota): void {
    set(REQUEST_ID, this.requestId);
    if (!quota) return;
    const headers = quotaHeaders([quota]);
    for (let i = 0; i < headers.length; i += 2) set(headers[i]!, headers[i + 1]!);
  }
}

const heads = new WeakMap<Metadata, GrpcHead>();

/** The head of a call that grpc-js answers: the same for its admission and its handler, who share the metadata alone. */
export function headOf(metadata: Metadata, charsMax: number): GrpcHead {
  let head = heads.get(metadata);
  if (!head) {
    head = new GrpcHead(metadata, charsMax);
    heads.set(metadata, head);
  }
  return head;
}

/** What is read of the metadata of a call. */
export type ReadMetadata = Pick<Metadata, 'get' | 'getMap'>;
