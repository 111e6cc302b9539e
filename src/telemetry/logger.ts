import { trace } from '@opentelemetry/api';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
type Level = (typeof LEVELS)[number];
/** What a line says besides, by name: of which request it is, for instance. */
export type Details = Readonly<Record<string, string>>;

// What must never reach a log, wherever it stands in a message: our own secrets and bearer tokens.
const SECRETS = /aios_(key|login|session)_[0-9A-Za-z]+_[0-9A-Za-z]{6}|(?<=bearer )[\w.~+/-]+=*/gi;

function threshold(): number {
  const wanted = LEVELS.indexOf((process.env.AIOS_LOG ?? 'info') as Level);
  return wanted === -1 ? 1 : wanted;
}

/**
 * One line of JSON per entry on standard error, with the trace that it belongs to; one readable line on a terminal.
 *
 * @example formatEntry('warn', 'The database ended', undefined, 0, false) // '{"ts":"1970-…","level":"warn","msg":"The database ended"}'
 */
export function formatEntry(
  level: Level,
  message: string,
  error: unknown,
  atMs: number,
  forTerminal: boolean,
  more: Details = {},
): string {
  const detail =
    error instanceof Error ? (error.stack ?? error.message) : error === undefined ? undefined : String(error);
  if (forTerminal) {
    const text = `${new Date(atMs).toISOString().slice(11, 23)} ${level.padEnd(5)} ${[message, ...Object.values(more)].join(' · ')}${detail && level === 'error' ? `\n${detail}` : ''}`;
    return text.replace(SECRETS, '[secret]');
  }
  const span = trace.getActiveSpan()?.spanContext();
  const entry = {
    ts: new Date(atMs).toISOString(),
    level,
    msg: message,
    ...more,
    ...(span ? { trace_id: span.traceId, span_id: span.spanId } : {}),
    ...(detail ? { error: detail } : {}),
  };
  return JSON.stringify(entry).replace(SECRETS, '[secret]');
}

function write(level: Level, message: string, error?: unknown, more?: Details): void {
  if (LEVELS.indexOf(level) < threshold()) return;
  process.stderr.write(`${formatEntry(level, message, error, Date.now(), process.stderr.isTTY, more)}\n`);
}

/** The process's log; `AIOS_LOG` names the lowest level that is written. */
export const log = {
  debug: (message: string, error?: unknown) => write('debug', message, error),
  info: (message: string, error?: unknown) => write('info', message, error),
  warn: (message: string, error?: unknown, more?: Details) => write('warn', message, error, more),
  error: (message: string, error?: unknown, more?: Details) => write('error', message, error, more),
};
