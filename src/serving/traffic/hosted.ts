import type { Host } from '../hosting/host.ts';
import type { ScorePlan } from '../hosting/score.ts';
import type { ServedModel } from './calls.ts';
import type { Guards } from './guards.ts';

/** A version that is loaded, or is being. */
export interface Hosted {
  readonly model: ServedModel;
  readonly host: Host;
  readonly started: Promise<void>;
  /** What stands around its calls; nothing where its definition names nothing. */
  readonly guards: Guards | undefined;
  /** Made at the first score: not every model has named features. */
  plan: ScorePlan | undefined;
}
