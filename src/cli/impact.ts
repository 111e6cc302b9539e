/** What depends on a definition that a plan changes, as `POST /api/v1/apply?dryRun=true` tells it. */
export interface Impact {
  kind: string;
  name: string;
  severity: 'breaks' | 'changes-values' | 'unaffected';
  changes: { node: string; effect: string; from?: string; to?: string }[];
  affected: {
    node: string;
    severity: Impact['severity'];
    depth: number;
    through: string;
    writes?: boolean;
  }[];
  runsUnderWay: number;
  hint: string;
  truncated: boolean;
}

const CHANGES_MAX = 8;
const AFFECTED_MAX = 12;
const SAID = {
  breaks: 'BREAKS',
  'changes-values': 'changes values of',
  unaffected: 'does not touch',
} as const;

/**
 * The report as a short tree, what breaks first; nothing where no change reaches anything.
 *
 * @example describeImpact(answer.impact) // 'contract order.placed: BREAKS 2 …'
 */
export function describeImpact(impact: readonly Impact[]): string {
  const told = impact
    .filter(({ severity, runsUnderWay }) => severity !== 'unaffected' || runsUnderWay > 0)
    .sort((a, b) => Number(b.severity === 'breaks') - Number(a.severity === 'breaks'));
  return told.map(describeOne).join('\n\n');
}

function describeOne({
  kind,
  name,
  severity,
  changes,
  affected,
  runsUnderWay,
  hint,
  truncated,
}: Impact): string {
  const broken = affected.filter((each) => each.severity === 'breaks').length;
  const count = severity === 'breaks' ? broken : affected.length;
  const lines = [
    `${kind} ${name}: ${SAID[severity]} ${count === 0 ? 'nothing that is known' : `${count}${truncated ? '+' : ''} that depend on it`}`,
  ];
  const changed = changes.filter(({ effect }) => effect !== 'added');
  for (const { node, effect, from, to } of changed.slice(0, CHANGES_MAX)) {
    const types = effect === 'retyped' ? ` (${from} → ${to})` : '';
    lines.push(`  ${effect === 'removed' ? '-' : '~'} ${node} ${effect}${types}`);
  }
  if (changed.length > CHANGES_MAX) lines.push(`  … ${changed.length - CHANGES_MAX} more`);
  for (const { node, severity: own, depth, through, writes } of affected.slice(0, AFFECTED_MAX)) {
    const how = writes ? 'writes' : own === 'breaks' ? 'breaks' : 'other values';
    lines.push(
      `  ${'  '.repeat(Math.min(depth, 4))}└ ${node}: ${how}${depth > 1 ? ` (through ${through})` : ''}`,
    );
  }
  if (affected.length > AFFECTED_MAX)
    lines.push(`    … ${affected.length - AFFECTED_MAX} more (--json has all)`);
  if (runsUnderWay > 0)
    lines.push(
      `  ${runsUnderWay} runs under way: each goes on with its version of the flow, and reads the rest as it then is`,
    );
  lines.push(`  → ${hint}`);
  return lines.join('\n');
}
