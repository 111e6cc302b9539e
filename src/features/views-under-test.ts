import type { Database } from '../store/database.ts';
import type { Definitions } from '../store/definitions.ts';
import { FeatureViews } from './views.ts';

/** The views of a process that has no log to build them from. */
export function viewsWithoutLog(db: Database, definitions: Definitions): FeatureViews {
  return new FeatureViews({
    ...{ db, definitions, group: 'features' },
    readLog: async () => [],
    logBegin: async () => undefined,
  });
}
