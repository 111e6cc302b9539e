import type { Agreement } from '../api/shapes.ts';
import type { Tone } from '../display/tone.ts';

/** The words of Landis and Koch (1977) for a kappa, at the lower end of its interval when that is known: few cases prove little. */
export function strengthOf({ kappa, interval }: Pick<Agreement, 'kappa' | 'interval'>): {
  word: string;
  tone: Tone;
} {
  if (kappa === null) return { word: 'not enough data', tone: 'quiet' };
  const low = interval?.[0] ?? kappa;
  if (low > 0.8) return { word: 'almost perfect', tone: 'good' };
  if (low > 0.6) return { word: 'substantial', tone: 'good' };
  if (low > 0.4) return { word: 'moderate', tone: 'attention' };
  if (low > 0.2) return { word: 'fair', tone: 'attention' };
  return { word: 'slight or none', tone: 'bad' };
}

/** A kappa as people read it: two digits, or a dash. */
export function kappaText(kappa: number | null): string {
  return kappa === null ? '–' : twoDigits(kappa);
}

/** `0.15 to 0.65` */
export function intervalText(interval: Agreement['interval']): string {
  return interval ? `${twoDigits(interval[0])} to ${twoDigits(interval[1])}` : '–';
}

/** Nobody reads a minus before nothing. */
function twoDigits(value: number): string {
  return value.toFixed(2).replace('-0.00', '0.00');
}
