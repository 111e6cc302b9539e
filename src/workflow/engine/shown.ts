import type { Json } from '../../kernel/json.ts';
import type { Execution } from './execution.ts';
import type { RunResult } from './stored-run.ts';

/** What a list of runs shows of one, as its flow declares it; null where the run ended before there was something to show. */
export function shownOf(
  { flow, run, event }: Execution,
  { output = null }: RunResult,
): { subject: string | null; outcome: string | null } {
  const scope = { input: run.origin.input, output, event: event?.event ?? null };
  const text = (template: ((scope: Record<string, unknown>) => Json) | undefined): string | null => {
    try {
      const value = template?.(scope) ?? null;
      return value === null
        ? null
        : (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('\u0000', '');
    } catch {
      return null;
    }
  };
  return { subject: text(flow.subject), outcome: text(flow.outcome) };
}
