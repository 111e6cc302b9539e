import type { JsonObject } from '../kernel/json.ts';
import type { Actor } from './candidate.ts';

/** A change of the registry, for the audit log: its writes are committed with the change. */
export type ModelChange =
  | {
      kind: 'model.registered';
      name: string;
      version: number;
      runtime: string;
      digest: string;
      endpoint?: JsonObject;
      by: Actor;
      at: number;
      card: JsonObject;
      datasets?: JsonObject[];
    }
  | {
      kind: 'model.promoted' | 'model.rolled-back' | 'model.alias-removed';
      name: string;
      version: number;
      digest: string;
      by: Actor;
      at: number;
      alias: string;
      from: number;
      reason?: string | null;
      /** Set where the calls of the version before do not fit the new one. */
      forced?: boolean;
    };
