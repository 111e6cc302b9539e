import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { contractPath, contractQualityQuery, type Quality } from '../api/contracts.ts';
import { StatusBadge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { Panel } from '../display/page.tsx';
import { Answer } from '../display/states.tsx';
import { Time } from '../display/time.tsx';

/** How the measured rules of a contract stand, and their last windows. */
export function ContractQuality({ name }: { name: string }) {
  const quality = useQuery(contractQualityQuery(name));
  return (
    <Panel
      title="Quality"
      padded={false}
      aside={
        <CopyAs
          what="What is measured"
          command={{
            method: 'GET',
            path: `${contractPath(name)}/quality`,
            cli: `contracts quality ${name}`,
          }}
        />
      }
    >
      <Answer query={quality}>
        {(answer) =>
          answer.windows.length === 0 ? (
            <Text size="sm" c="dimmed" p="md">
              Nothing has been measured yet: rules with a metric count events in windows.
            </Text>
          ) : (
            <Windows quality={answer} />
          )
        }
      </Answer>
    </Panel>
  );
}

function Windows({ quality: { rules, windows } }: { quality: Quality }) {
  const status = new Map(rules.map((rule) => [rule.rule, rule.status]));
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Rule</th>
          <th>Window</th>
          <th className="end">Events</th>
          <th className="wide-only end">Late</th>
          <th className="wide-only end">Value</th>
          <th className="end">Result</th>
        </tr>
      </thead>
      <tbody>
        {windows.map((window) => (
          <tr key={`${window.rule} ${window.start}`}>
            <td>
              {window.rule}
              {status.get(window.rule) === 'failed' && (
                <Text size="xs" c="dimmed">
                  fails now
                </Text>
              )}
            </td>
            <td>
              <Time at={window.start} />
            </td>
            <td className="end number">{window.rows}</td>
            <td className="wide-only end number">{window.late}</td>
            <td className="wide-only end number">
              {window.value === undefined ? '–' : Math.round(window.value * 100) / 100}
            </td>
            <td className="end">
              <StatusBadge status={window.status} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
