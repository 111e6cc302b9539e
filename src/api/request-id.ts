import type { IncomingHttpHeaders } from 'node:http';
import { idMaker } from '../kernel/ids.ts';

/** The header that names a request: what proxies set and clients read (`_request_id` of OpenAI's). */
export const REQUEST_ID = 'x-request-id';

/** What ids are made of in practice (UUIDs, base64, ULIDs, dotted and slashed names). No blank, comma or quote: an id goes into headers, logs and JSON as it is. */
const ID = /^[\w.:~+/=@-]+$/;

/** An id for a request whose caller gave none. @example newRequestId() // 'req_06h05zrx45xevgweapnerphhon01' */
export const newRequestId: () => string = idMaker('req');

/**
 * The id that a caller gave its request; undefined when there is none, or none that can be taken: it is too long or holds other characters.
 *
 * @param charsMax `requestIdCharsMax`
 * @example givenRequestId({ 'x-request-id': 'trace-7' }, 128) // 'trace-7'
 */
export function givenRequestId(headers: IncomingHttpHeaders, charsMax: number): string | undefined {
  const id = headers[REQUEST_ID];
  return typeof id === 'string' && id.length <= charsMax && ID.test(id) ? id : undefined;
}
