import type { Happening } from '../api/shapes.ts';
import { localTime } from '../display/format.ts';

const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
const names = (value: unknown) => (Array.isArray(value) ? value.map(String) : []);

/** What happened to a case in the words of those who work on it; `said` are somebody's own words. */
export function tellOf({ kind, detail }: Happening): { what: string; said?: string | undefined } {
  const said = text(detail.text);
  const to = text(detail.to) ?? 'another';
  switch (kind) {
    case 'opened':
      return { what: 'the case came' };
    case 'seen':
      return { what: 'looked at it' };
    case 'claimed':
      return { what: 'took it' };
    case 'released':
      return { what: 'gave it back' };
    case 'delegated':
      return { what: `handed it to ${to}`, said };
    case 'handed-back':
      return { what: `gave it back to ${to}`, said };
    case 'assigned':
      return { what: `gave it to ${to}` };
    case 'prioritized':
      return { what: `changed how pressing it is, from ${detail.from} to ${detail.to}` };
    case 'put-off':
      return putOff(text(detail.until));
    case 'escalated':
      return { what: escalation(detail) };
    case 'commented':
      return { what: 'wrote', said };
    case 'attached':
      return { what: 'attached' };
    case 'amended':
      return { what: 'put right what is shown; everybody is asked anew' };
    case 'completed':
      return { what: detail.onBehalfOf ? `answered for ${detail.onBehalfOf}` : 'answered' };
    case 'returned':
      return { what: 'sent it back with a question', said };
    case 'expired':
      return { what: 'nobody answered in time' };
    case 'canceled':
      return { what: 'the case was withdrawn' };
    default:
      return { what: kind };
  }
}

/** The file that was attached, also to a case before this one. */
export function attachmentOf({ kind, detail }: Happening): { attachment: string | undefined; name: string } {
  const attachment = kind === 'attached' ? text(detail.attachment) : undefined;
  return { attachment, name: text(detail.name) ?? 'file' };
}

function putOff(until: string | undefined): { what: string } {
  return { what: until ? `put it off until ${localTime(until).slice(0, 16)}` : 'brought it back' };
}

function escalation(detail: Happening['detail']): string {
  const who = [...names(detail.groups), ...names(detail.roles)];
  const parts = [
    detail.priority === undefined ? '' : 'it is more pressing now',
    who.length === 0 ? '' : `${who.join(', ')} may answer too`,
    detail.notified ? 'others were told' : '',
  ].filter(Boolean);
  return `nobody had answered: ${parts.join('; ')}`;
}

const HOUR_MS = 3_600_000;
const MORNING = 9;

/** When people mostly want to look at a thing again, by their own clock. */
export function laterTimes(now: Date): { label: string; at: Date }[] {
  const morning = (days: number) =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, MORNING);
  const toMonday = (8 - now.getDay()) % 7 || 7;
  return [
    { label: 'In an hour', at: new Date(now.getTime() + HOUR_MS) },
    { label: 'Tomorrow morning', at: morning(1) },
    { label: 'Monday morning', at: morning(toMonday) },
    { label: 'In a week', at: morning(7) },
  ];
}
