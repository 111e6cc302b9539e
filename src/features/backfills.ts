import { AiosError } from '../kernel/errors.ts';
import { newId } from '../kernel/ids.ts';
import type { Committer } from '../store/group-commit.ts';
import { type Lane, Refused, type Write, write } from '../store/lane.ts';
import type { KeptLog } from './build-from-log.ts';
import type { FeatureViews } from './views.ts';

/** A range of event times that is built from the log anew. */
export interface BackfillRequest {
  view: string;
  fromMs: number;
  toMs: number;
  /** Events that came later than the view bears count, too. */
  includeLate: boolean;
}

interface Item extends BackfillRequest {
  id: string;
}

/** A gate: a view that is being built is not built once more. What is asked for is a generation of the version in force. */
const lane: Lane<Item> = {
  name: 'back-fills of features',
  order: 46,
  gate: true,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const { id, view, fromMs, toMs, includeLate } of items) {
      await tx.query(
        `insert into feature_views (name, version, meaning, generation, status, joined, built, range_from, range_to, include_late, backfill)
         select name, version, meaning, (select max(generation) + 1 from feature_views g where g.name = v.name and g.meaning = v.meaning),
           'requested', '{}', '{}', $3, $4, $5, $1
         from feature_views v where name = $2 and status = 'ready'
           and not exists (select from feature_views o where o.name = v.name and o.status not in ('ready', 'retired'))
         order by version desc, id desc limit 1 on conflict do nothing`,
        [id, view, fromMs, toMs, includeLate],
      );
      const [own] = await tx.query('select from feature_views where backfill = $1', [id]);
      const detail = `The view “${view}” is being built.`;
      results.push(own ? undefined : new Refused(new AiosError('features.building', { detail })));
    }
    return results as Refused[];
  },
};

interface Dependencies {
  commit: Committer;
  views: Pick<FeatureViews, 'streamView' | 'sync'>;
  logBegin(): Promise<KeptLog | undefined>;
  onError?: (error: unknown) => void;
}

/**
 * Builds a range of a stream view anew from the log, beside the stream: a new generation begins with what the old one holds outside of the range,
 * reads the range from the log, joins the stream, and is served once it is whole. Until then the old one is.
 */
export class FeatureBackfills {
  readonly #deps: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
  }

  /**
   * Commits the request with `records` and begins; resolves when it is asked for. The range is widened to whole tiles.
   *
   * @throws AiosError `features.unknown_view`, `features.building`, `features.backfill_gone`, `request.invalid` of an empty range
   */
  async start(request: BackfillRequest, records: readonly Write[]): Promise<BackfillRequest> {
    const view = this.#deps.views.streamView(request.view);
    if (!view) {
      throw new AiosError('features.unknown_view', {
        detail: `There is no stream view “${request.view}” in force.`,
      });
    }
    if (request.fromMs >= request.toMs) {
      const text = (ms: number) => new Date(ms).toISOString();
      const issue = {
        path: '/to',
        message: 'the range is empty: it ends before it begins',
        found: text(request.toMs),
        expected: `after ${text(request.fromMs)}`,
      };
      throw new AiosError('request.invalid', { issues: [issue] });
    }
    const tileMs = view.plan?.tileMs ?? 1;
    const range = {
      ...request,
      fromMs: Math.floor(request.fromMs / tileMs) * tileMs,
      toMs: Math.ceil(request.toMs / tileMs) * tileMs,
    };
    const begin = await this.#deps.logBegin();
    if (begin?.isDropped && begin.sinceMs > range.fromMs) {
      throw new AiosError('features.backfill_gone', {
        detail: `The log begins at ${new Date(begin.sinceMs).toISOString()}.`,
      });
    }
    await this.#deps.commit.commit([write(lane, { ...range, id: newId('bfl') }), ...records]);
    void this.#deps.views.sync().catch((error: unknown) => this.#deps.onError?.(error));
    return range;
  }
}
