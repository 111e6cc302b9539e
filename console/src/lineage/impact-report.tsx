import { Stack, Text } from '@mantine/core';
import type { Impact, Plan } from '../api/definitions.ts';
import { Badge } from '../display/badge.tsx';
import { PageLink } from '../display/link.tsx';
import { Panel } from '../display/page.tsx';
import type { Tone } from '../display/tone.ts';

const SEVERITIES: Readonly<Record<Impact['severity'], { tone: Tone; label: string }>> = {
  breaks: { tone: 'bad', label: 'breaks' },
  'changes-values': { tone: 'attention', label: 'other values' },
  unaffected: { tone: 'good', label: 'unaffected' },
};
const ACTIONS = { create: 'new', update: 'changes', unchanged: 'is unchanged' } as const;

/** What a plan does to what depends on it, as `aios plan` tells it: what breaks, by way of what, and how to go on. */
export function ImpactReport({ plan }: { plan: Plan }) {
  return (
    <>
      {plan.changes.map(({ kind, name, action, toVersion }) => (
        <Text key={`${kind}/${name}`} role="status">
          {kind} {name} {ACTIONS[action]}
          {action === 'unchanged' ? '.' : `: version ${toVersion}.`}
        </Text>
      ))}
      {plan.warnings?.map(({ path, message, meant }) => (
        <Text key={`${path} ${message}`} size="sm">
          <Badge tone="attention">look here</Badge> <span className="mono">{path}</span> {message}
          {meant && `; perhaps “${meant}” was meant`}
        </Text>
      ))}
      {plan.impact?.map((impact) => (
        <OfOne key={`${impact.kind}/${impact.name}`} impact={impact} />
      ))}
    </>
  );
}

function OfOne({ impact }: { impact: Impact }) {
  const { kind, name, severity, changes, affected, runsUnderWay, hint, truncated } = impact;
  const { tone, label } = SEVERITIES[severity];
  return (
    <Panel
      title={`What depends on ${kind} ${name}`}
      aside={<Badge tone={tone}>{label}</Badge>}
      padded={false}
    >
      <Stack gap="sm" p="md">
        {changes.length === 0 && <Text size="sm">Nothing that others could read is different.</Text>}
        {changes.map(({ node, effect, from, to }) => (
          <Text size="sm" key={node}>
            <span className="mono">{node}</span> {effect}
            {from !== undefined && to !== undefined && from !== to && ` (${from} → ${to})`}
          </Text>
        ))}
        {runsUnderWay > 0 && (
          <Text size="sm">
            {runsUnderWay} runs are under way: each goes on with its version of the flow, and reads the rest
            as it then is.
          </Text>
        )}
        <Text size="sm">{hint}</Text>
      </Stack>
      {affected.length > 0 && <AffectedTable affected={affected} />}
      {truncated && (
        <Text size="sm" p="md">
          More depends on it than is told here.
        </Text>
      )}
    </Panel>
  );
}

function AffectedTable({ affected }: { affected: Impact['affected'] }) {
  return (
    <table className="rows" aria-label="What depends on the change">
      <thead>
        <tr>
          <th>What</th>
          <th>What comes of it</th>
          <th>Through</th>
          <th className="end">Away</th>
        </tr>
      </thead>
      <tbody>
        {affected.map(({ node, severity, depth, through, writes }) => (
          <tr key={`${node} ${severity}`}>
            <td className="anywhere">
              <PageLink to="/lineage" search={{ node }} size="sm">
                {node}
              </PageLink>
            </td>
            <td>
              <Badge tone={SEVERITIES[severity].tone}>
                {writes ? `writes it: ${SEVERITIES[severity].label}` : SEVERITIES[severity].label}
              </Badge>
            </td>
            <td className="mono">{through}</td>
            <td className="number end">{depth}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
