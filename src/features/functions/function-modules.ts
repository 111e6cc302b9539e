import { LRUCache } from 'lru-cache';
import { AiosError, type Issue } from '../../kernel/errors.ts';
import { LIMITS, type Limits } from '../../kernel/limits.ts';
import { ofRow } from '../failed-row.ts';
import { FunctionThread } from './function-thread.ts';

type FunctionLimits = Pick<
  Limits,
  'featureFunctionMs' | 'featureFunctionBytesMax' | 'featureFunctionThreadsMax'
>;

/** The functions of a view: its code, and the name of its file for messages. */
export interface FunctionCode {
  readonly code: string;
  readonly file: string;
}

/** The code of on-demand views, each in a thread that is begun when it is first asked and ended when others were asked since. */
export class FunctionModules {
  readonly #limits: FunctionLimits;
  /** By the code: a new version of a view is another thread. */
  readonly #threads: LRUCache<string, FunctionThread>;

  constructor(limits: FunctionLimits) {
    this.#limits = limits;
    this.#threads = new LRUCache({
      max: limits.featureFunctionThreadsMax,
      dispose: (thread) => thread.close(),
    });
  }

  /**
   * What the functions give for rows, each the JSON of `{ features, request, nowMs }`.
   *
   * @returns of each row the values of the functions in their order
   * @throws AiosError `features.function_failed`, `features.function_stopped`
   * @example await modules.compute({ code: 'export const twice = ({ features }) => 2 * features.x', file: 'a.ts' }, ['twice'], ['{"features":{"x":2},"request":{},"nowMs":0}']) // [[4]]
   */
  async compute(
    source: FunctionCode,
    functions: readonly string[],
    rows: readonly string[],
  ): Promise<unknown[][]> {
    if (rows.length === 0) return [];
    const answer = await this.#threadOf(source).ask({ functions, rows });
    if ('failed' in answer) {
      const detail = `${source.file}: ${answer.failed}.`;
      throw ofRow(answer.row, new AiosError('features.function_failed', { detail }));
    }
    return (answer as { values: string[] }).values.map((json) => JSON.parse(json) as unknown[]);
  }

  /** Ends what is under way, too. */
  close(): void {
    for (const thread of this.#threads.values()) thread.end();
    this.#threads.clear();
  }

  #threadOf(source: FunctionCode): FunctionThread {
    const known = this.#threads.get(source.code);
    if (known && !known.isOver) return known;
    const thread = new FunctionThread({ ...source, ...boundsOf(this.#limits) });
    this.#threads.set(source.code, thread);
    return thread;
  }
}

/**
 * What is wrong with the code of a view: it does not load, or does not export a function that a feature names.
 *
 * @param functions the names of the functions, by the feature that calls them
 */
export async function functionIssues(
  source: FunctionCode,
  functions: Readonly<Record<string, string>>,
): Promise<Issue[]> {
  const thread = new FunctionThread({
    ...source,
    ...boundsOf({
      featureFunctionMs: LIMITS.featureFunctionMs.value,
      featureFunctionBytesMax: LIMITS.featureFunctionBytesMax.value,
    }),
  });
  try {
    const answer = await thread.ask({ functions: Object.values(functions), rows: [] });
    if ('failed' in answer) return [{ path: '/code', message: `the code does not load: ${answer.failed}` }];
    const missing = new Set((answer as { missing: string }).missing.split(', ').filter(Boolean));
    return Object.entries(functions)
      .filter(([, name]) => missing.has(name))
      .map(([feature, name]) => ({
        path: `/features/${feature}`,
        message: `${source.file} exports no function “${name}”`,
      }));
  } catch (error) {
    return [{ path: '/code', message: `the code does not load: ${(error as AiosError).message}` }];
  } finally {
    thread.close();
  }
}

function boundsOf(limits: Pick<FunctionLimits, 'featureFunctionMs' | 'featureFunctionBytesMax'>) {
  return { rowMs: limits.featureFunctionMs, memoryBytesMax: limits.featureFunctionBytesMax };
}
