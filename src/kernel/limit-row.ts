/** One limit: its value in the unit that its name ends with, and why it stands where it does. */
export interface LimitRow {
  readonly value: number;
  readonly why: string;
}

export const limit = (value: number, why: string): LimitRow => ({ value, why });
