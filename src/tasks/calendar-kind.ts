import { locateIssue, type SourceDocument, validateDocument } from '../kernel/document.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { compileSchema, DEFINITION_NAME } from '../kernel/schema.ts';
import { TimeZone } from '../kernel/time-zone.ts';
import type { DefinitionKind } from '../store/definition-kind.ts';
import { type Hours, WorkingCalendar } from './working-calendar.ts';

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const HOLIDAYS_COUNT_MAX = 2_000;

/** When people work, as its author writes it in `calendars/<name>.yaml`. */
interface CalendarDefinition {
  readonly name: string;
  /** IANA, `Europe/Berlin`. */
  readonly timeZone: string;
  /** By weekday, each `09:00-12:30`; a day that is left out is free. */
  readonly hours: { readonly [Day in (typeof WEEKDAYS)[number]]?: readonly string[] };
  /** Days that are free, or have hours of their own: `2026-12-25`, `{ date: 2026-12-24, hours: ['09:00-12:00'] }`. */
  readonly holidays?: readonly (
    | string
    | { readonly date: string; readonly title?: string; readonly hours?: readonly string[] }
  )[];
}

const HOURS = {
  type: 'array',
  maxItems: 24,
  items: { type: 'string', pattern: '^([01]\\d|2[0-3]):[0-5]\\d-(([01]\\d|2[0-3]):[0-5]\\d|24:00)$' },
};
const DATE = { type: 'string', format: 'date', pattern: '^\\d{4}-\\d{2}-\\d{2}$' };
const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'timeZone', 'hours'],
  properties: {
    name: DEFINITION_NAME,
    title: { type: 'string' },
    description: { type: 'string' },
    timeZone: { type: 'string', minLength: 1 },
    hours: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      properties: Object.fromEntries(WEEKDAYS.map((day) => [day, HOURS])),
    },
    holidays: {
      type: 'array',
      maxItems: HOLIDAYS_COUNT_MAX,
      items: {
        oneOf: [
          DATE,
          {
            type: 'object',
            additionalProperties: false,
            required: ['date'],
            properties: { date: DATE, title: { type: 'string' }, hours: HOURS },
          },
        ],
      },
    },
  },
} as unknown as JsonObject);

/** The kind `calendar` of a project folder. */
export const calendarKind: DefinitionKind = {
  kind: 'calendar',
  folder: 'calendars',
  parse: (document) => parseCalendar(document),
};

/**
 * Reads a calendar: its zone must be known here, its hours in order, and some day of the week must have some.
 *
 * @throws AiosError `definition.invalid` with file and line
 * @example parseCalendar(readDocument(text, 'calendars/office.yaml')).name // 'office'
 */
function parseCalendar(document: SourceDocument): { name: string; body: JsonObject } {
  validateDocument(document, validate);
  const issues = faultsOf(document.value as unknown as CalendarDefinition);
  if (issues.length > 0)
    throw new AiosError('definition.invalid', {
      issues: issues.map((issue) => locateIssue(document, issue)),
    });
  return { name: String(document.value.name), body: document.value };
}

function faultsOf({ timeZone, hours, holidays = [] }: CalendarDefinition): Issue[] {
  const issues: Issue[] = [];
  try {
    new TimeZone(timeZone);
  } catch {
    issues.push({
      path: '/timeZone',
      message: 'no time zone of the IANA database',
      found: timeZone,
      expected: 'a name such as Europe/Berlin',
    });
  }
  const inOrder = (path: string, texts: readonly string[]) => {
    let last = 0;
    for (const [index, [from, to]] of hoursOf(texts).entries()) {
      if (to <= from || from < last)
        issues.push({
          path: `${path}/${index}`,
          message: 'hours go forward, one after another',
          found: String(texts[index]),
        });
      last = to;
    }
  };
  for (const [day, texts] of Object.entries(hours)) inOrder(`/hours/${day}`, texts);
  for (const [index, holiday] of holidays.entries()) {
    const { date, hours: own = [] } = typeof holiday === 'string' ? { date: holiday } : holiday;
    inOrder(`/holidays/${index}/hours`, own);
    if (dayOf(date) === undefined)
      issues.push({ path: `/holidays/${index}`, message: 'no day of the calendar', found: date });
  }
  if (Object.values(hours).every((texts) => texts.length === 0))
    issues.push({ path: '/hours', message: 'some day of the week needs hours' });
  return issues;
}

/** A calendar ready to count, from a body that `parse` has accepted. */
export function compileCalendar(body: JsonObject, daysMax: number): WorkingCalendar {
  const { timeZone, hours, holidays = [] } = body as unknown as CalendarDefinition;
  const days = new Map<number, Hours>();
  for (const holiday of holidays) {
    const { date, hours: own = [] } = typeof holiday === 'string' ? { date: holiday } : holiday;
    days.set(dayOf(date) as number, hoursOf(own));
  }
  const week = WEEKDAYS.map((day) => hoursOf(hours[day] ?? []));
  return new WorkingCalendar({ zone: new TimeZone(timeZone), week, days }, daysMax);
}

function hoursOf(texts: readonly string[]): Hours {
  return texts.map((text) => {
    const [from = '', to = ''] = text.split('-');
    return [clockOf(from), clockOf(to)] as const;
  });
}

function clockOf(text: string): number {
  const [hours, minutes] = text.split(':').map(Number);
  return ((hours ?? 0) * 60 + (minutes ?? 0)) * MINUTE_MS;
}

/** The number of a day since 1970-01-01; undefined for one that does not exist. */
function dayOf(date: string): number | undefined {
  const ms = Date.parse(`${date}T00:00:00Z`);
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== date ? undefined : ms / DAY_MS;
}
