import { Group, Stack, Text } from '@mantine/core';
import { IconPlayerPause, IconPlayerPlay, IconRefresh } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { type Bridge, bridgePath, bridgesQuery } from '../api/bridges.ts';
import { meQuery } from '../api/queries.ts';
import { ProblemError } from '../api/request.ts';
import { Badge } from '../display/badge.tsx';
import { ConfirmedButton } from '../display/confirmed-button.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { count } from '../display/format.ts';
import { Hint } from '../display/hint.tsx';
import { ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import type { Tone } from '../display/tone.ts';
import { BridgePlace } from './bridge-place.tsx';

const TONES: Readonly<Record<Bridge['state'], Tone>> = {
  running: 'good',
  paused: 'quiet',
  failing: 'bad',
  waiting: 'attention',
};

/** Its state, with what went wrong last and what to do about it. */
export function BridgeState({ bridge: { state, problem } }: { bridge: Bridge }) {
  return (
    <>
      <Badge tone={TONES[state]}>{state}</Badge>
      {problem && (
        <Text size="xs" c="dimmed" lineClamp={2} style={{ overflowWrap: 'anywhere' }}>
          {problem.detail ?? problem.title}
        </Text>
      )}
      {problem?.hint && (
        <Text size="xs" className="wide-only" lineClamp={2}>
          <Hint of={problem} />
        </Text>
      )}
    </>
  );
}

/** One bridge: what is wrong with it and what to do, where it stands, and a button that stops it or lets it go on. */
export function BridgeDetails({ bridge }: { bridge: Bridge }) {
  const { name, version, direction, protocol, state, passed, rejected, lag, movedAt } = bridge;
  const facts: [string, ReactNode][] = [
    ['Direction', direction === 'source' ? `from ${protocol}` : `to ${protocol}`],
    ['Definition', `v${version}`],
    [direction === 'source' ? 'Events brought' : 'Events sent', count(passed)],
    ...(direction === 'source' ? [['Put aside', count(rejected)] as [string, ReactNode]] : []),
    ...(lag === undefined ? [] : [['Events behind', count(lag)] as [string, ReactNode]]),
    ['Last moved', <Time key="moved" at={movedAt} />],
  ];
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Badge tone={TONES[state]}>{state}</Badge>
        <Group gap="xs">
          <PauseOrResume bridge={bridge} />
          <Restart bridge={bridge} />
          <CopyAs
            what="This bridge"
            command={{ method: 'GET', path: bridgePath(name), cli: `bridges ${name}` }}
          />
        </Group>
      </Group>
      <Faults bridge={bridge} />
      <dl className="facts">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <BridgePlace bridge={bridge} />
    </Stack>
  );
}

function Faults({ bridge: { state, problem, problemAt, notice, noticeAt } }: { bridge: Bridge }) {
  return (
    <>
      {state === 'waiting' && <Text size="sm">No process runs it at the moment.</Text>}
      {problem && (
        <div>
          <Text size="xs" c="dimmed" mb={4} component="div">
            Met <Time at={problemAt} />, tried again by itself
          </Text>
          <ProblemView error={new ProblemError(problem)} />
        </div>
      )}
      {notice && (
        <Text size="sm" component="div">
          Noticed <Time at={noticeAt} />: {notice.detail ?? notice.title}
        </Text>
      )}
    </>
  );
}

/** A paused one is opened anew when it is let go on. */
function Restart({ bridge: { name, state } }: { bridge: Bridge }) {
  const me = useQuery(meQuery);
  if (state === 'paused' || !me.data?.permissions.includes('bridges.control')) return null;
  return (
    <ConfirmedButton
      label="Restart"
      name={`Restart ${name}`}
      question={`Restart ${name}?`}
      command={{ method: 'POST', path: `${bridgePath(name)}/restart`, cli: `bridges ${name} --restart` }}
      changes={bridgesQuery.queryKey}
      icon={<IconRefresh size={14} aria-hidden />}
    >
      It is opened anew in every process that runs it, with secrets as they are now, and goes on from its
      place.
    </ConfirmedButton>
  );
}

function PauseOrResume({ bridge: { name, state, direction } }: { bridge: Bridge }) {
  const me = useQuery(meQuery);
  if (!me.data?.permissions.includes('bridges.control')) return null;
  if (state === 'paused')
    return (
      <ConfirmedButton
        key="resume"
        label="Resume"
        name={`Resume ${name}`}
        question={`Let ${name} go on?`}
        command={{ method: 'POST', path: `${bridgePath(name)}/resume`, cli: `bridges ${name} --resume` }}
        changes={bridgesQuery.queryKey}
        icon={<IconPlayerPlay size={14} aria-hidden />}
      >
        It goes on from the place where it stopped: nothing is skipped.
      </ConfirmedButton>
    );
  return (
    <ConfirmedButton
      key="pause"
      label="Pause"
      name={`Pause ${name}`}
      question={`Pause ${name}?`}
      command={{ method: 'POST', path: `${bridgePath(name)}/pause`, cli: `bridges ${name} --pause` }}
      changes={bridgesQuery.queryKey}
      icon={<IconPlayerPause size={14} aria-hidden />}
    >
      It stops in every process and keeps its place, until somebody lets it go on.{' '}
      {direction === 'source'
        ? 'What comes meanwhile stays on the other side, as long as that keeps it.'
        : 'Events that come meanwhile wait in the log.'}
    </ConfirmedButton>
  );
}
