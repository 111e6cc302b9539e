import type { ReactNode } from 'react';
import { outcomeTone, statusTone, type Tone } from './tone.ts';

export function Badge({ tone, children, dot = false }: { tone: Tone; children: ReactNode; dot?: boolean }) {
  return (
    <span className={`badge tone-${tone}`}>
      {dot && <span className="dot" aria-hidden="true" />}
      {children}
    </span>
  );
}

export function StatusBadge({ status, label = status }: { status: string; label?: string }) {
  return (
    <Badge tone={statusTone(status)} dot>
      {label}
    </Badge>
  );
}

export function OutcomeBadge({ outcome }: { outcome: string | undefined }) {
  return outcome === undefined ? null : <Badge tone={outcomeTone(outcome)}>{outcome}</Badge>;
}
