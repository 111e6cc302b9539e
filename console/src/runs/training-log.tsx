import { Group, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import type { Run } from '../api/shapes.ts';
import { type LogPiece, trainingLogQuery } from '../api/training-log.ts';
import { Badge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { count } from '../display/format.ts';
import { Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import './training-log.css';

/** As near to the end counts as looking at it. */
const END_PX = 40;

/** What the training commands of a run wrote; nothing for runs of flows that do not train. */
export function TrainingLog({ run }: { run: Run }) {
  return run.graph.nodes.some(({ primitive }) => primitive === 'train') ? <Log run={run} /> : null;
}

function Log({ run: { id, status } }: { run: Run }) {
  const queries = useQueryClient();
  const isFollowed = !['completed', 'failed', 'canceled'].includes(status);
  const log = useQuery(trainingLogQuery(id, queries, isFollowed));
  const { refetch } = log;
  useEffect(() => {
    // The last of it may have come between the last question and the end.
    if (!isFollowed) void refetch();
  }, [isFollowed, refetch]);
  return (
    <Panel
      title="Training log"
      aside={
        <Group gap="xs" wrap="nowrap">
          {isFollowed && <Badge tone="active">followed</Badge>}
          <CopyAs
            what="This log"
            command={{ method: 'GET', path: `/api/v1/runs/${id}/logs`, cli: `logs ${id} --follow` }}
          />
        </Group>
      }
    >
      <Answer query={log}>
        {({ pieces, leftOut }) =>
          pieces.length === 0 ? (
            <Empty title="No output yet">What the command writes appears here.</Empty>
          ) : (
            <>
              {leftOut > 0 && (
                <Text size="xs" c="dimmed" mb={4}>
                  Earlier lines are left out ({count(leftOut)} characters): aios logs {id}
                </Text>
              )}
              <Pieces pieces={pieces} />
            </>
          )
        }
      </Answer>
    </Panel>
  );
}

function Pieces({ pieces }: { pieces: readonly LogPiece[] }) {
  const box = useRef<HTMLElement>(null);
  const isAtEnd = useRef(true);
  const last = pieces.at(-1)?.seq;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is new moves it
  useEffect(() => {
    const element = box.current;
    if (element && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [last]);
  return (
    <section
      ref={box}
      className="training-log"
      aria-label="What the training wrote"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard (axe)
      tabIndex={0}
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < END_PX;
      }}
    >
      {pieces.map(({ seq, stream, text }) => (
        <span key={seq} className={stream}>
          {text}
        </span>
      ))}
    </section>
  );
}
