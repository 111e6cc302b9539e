import { Group, Tooltip } from '@mantine/core';
import { count } from '../display/format.ts';
import { outcomeTone } from '../display/tone.ts';

/** The outcomes as one bar, largest first. */
export function OutcomeShares({ byOutcome }: { byOutcome: Record<string, number> }) {
  const outcomes = Object.entries(byOutcome).sort(([, a], [, b]) => b - a);
  const total = outcomes.reduce((sum, [, size]) => sum + size, 0);
  if (total === 0) return <span>nothing yet</span>;
  const text = outcomes.map(([outcome, size]) => `${outcome} ${count(size)}`).join(' · ');
  return (
    <Tooltip label={text} multiline maw={300}>
      <Group gap={2} wrap="nowrap" h={8} mt={6} mb={2} role="img" aria-label={text || 'nothing decided yet'}>
        {outcomes.map(([outcome, size], index) => (
          <span
            key={outcome}
            className={`tone-${outcomeTone(outcome)}`}
            style={{
              flex: size,
              minWidth: 4,
              height: 8,
              borderRadius: 3,
              background: 'var(--tone-line)',
              opacity: 1 - Math.min(0.6, index * 0.25),
            }}
          />
        ))}
      </Group>
    </Tooltip>
  );
}
