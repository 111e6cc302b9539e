export type Tone = 'good' | 'attention' | 'bad' | 'active' | 'quiet';

const STATUS: Readonly<Record<string, Tone>> = {
  completed: 'good',
  ready: 'good',
  replayed: 'good',
  passed: 'good',
  delivered: 'good',
  promoted: 'good',
  running: 'active',
  claimed: 'active',
  registered: 'active',
  waiting: 'attention',
  retrying: 'attention',
  open: 'attention',
  paused: 'quiet',
  pending: 'quiet',
  canceled: 'quiet',
  dismissed: 'quiet',
  'rolled-back': 'bad',
  failed: 'bad',
  expired: 'bad',
};

export function statusTone(status: string): Tone {
  return STATUS[status] ?? 'quiet';
}

/** Outcomes are words of the project; only those that say no in any trade are told apart. */
export function outcomeTone(outcome: string): Tone {
  return /^(refus|reject|den(y|ied)|declin|fail)/i.test(outcome) ? 'bad' : 'good';
}
