import type { JsonObject } from '../kernel/json.ts';
import type { ServingOptions } from './model-kind.ts';
import type { Signature } from './signature.ts';

/** What an inference needs of a version. The same object as long as nothing changed. */
export interface ResolvedModel {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly signature: Signature;
  readonly serving: ServingOptions;
  readonly runtime: string;
  readonly endpoint?: JsonObject | undefined;
}

/** A version as those see it who call it, whether or not it is registered. */
export type TriedVersion = Pick<ResolvedModel, 'name' | 'version' | 'signature'>;

/** The version that a text names by its number; nothing like `0x1` or `01`, which a version would have as other names. */
export function versionNamed(text: string): number {
  return /^[1-9]\d*$/.test(text) ? Number(text) : Number.NaN;
}
