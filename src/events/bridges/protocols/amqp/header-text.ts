import { isUtf8 } from 'node:buffer';

/** RFC 3339 has four digits for the year. */
const LAST_SECOND = Date.UTC(10_000, 0) / 1000 - 1;

/**
 * A header of a message as a text, as CloudEvents has the types of attributes; undefined for one without a value. The library hands times and decimals over as `{ '!': 'timestamp', value }`.
 *
 * @param value of any type of AMQP 0-9-1: also what RabbitMQ makes of the typed properties of AMQP 1.0, where `time` is a timestamp
 * @example headerText({ '!': 'timestamp', value: 1_700_000_000 }) // '2023-11-14T22:13:20.000Z'
 */
export function headerText(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value !== 'object') return String(value);
  if (value instanceof Uint8Array) return bytesText(Buffer.from(value));
  return typedText(value) ?? JSON.stringify(value);
}

function bytesText(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'base64');
}

function typedText({ '!': type, value }: { '!'?: unknown; value?: unknown }): string | undefined {
  if (type === 'timestamp' && typeof value === 'number')
    return value <= LAST_SECOND ? new Date(value * 1000).toISOString() : String(value); // milliseconds, against the specification
  if (type !== 'decimal') return undefined;
  const { places, digits } = value as { places: number; digits: number };
  return (digits / 10 ** places).toFixed(places);
}
