import type { Json } from '../../../../kernel/json.ts';
import type { Row } from './row.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of bytes. @throws TypeError for what is no UTF-8 */
export function textOf(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}

/** What a row says; one that cannot be read is its bytes, with the fault. */
export function readRow(bytes: Uint8Array, read: (text: string) => Json): Pick<Row, 'value' | 'fault'> {
  try {
    return { value: { json: read(textOf(bytes)) } };
  } catch (error) {
    return { value: Uint8Array.from(bytes), fault: (error as Error).message };
  }
}
