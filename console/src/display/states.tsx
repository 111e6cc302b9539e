import { Anchor, Box, Button, Group, Skeleton, Stack, Text } from '@mantine/core';
import { IconAlertTriangle, IconRefresh } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { type Problem, ProblemError } from '../api/request.ts';
import { count } from './format.ts';
import { Hint } from './hint.tsx';

/** What went wrong, and the way forward. */
export function ProblemView({ error, retry }: { error: Error; retry?: () => void }) {
  const problem = error instanceof ProblemError ? error.problem : undefined;
  const title = problem?.title ?? 'Something went wrong on this page';
  const detail = problem?.detail ?? error.message;
  return (
    <Box className="panel tone-bad" p="lg" role="alert" style={{ borderColor: 'var(--tone-line)' }}>
      <Group align="flex-start" wrap="nowrap" gap="sm">
        <IconAlertTriangle
          size={20}
          color="var(--tone-line)"
          style={{ flex: 'none', marginTop: 2 }}
          aria-hidden
        />
        <Stack gap={4} miw={0}>
          <Text fw={600}>{title}</Text>
          {detail !== title && <Detail text={detail} />}
          {problem?.issues?.map(({ path, message, file, line }) => (
            <Text size="sm" key={`${file} ${path} ${message}`} className="anywhere">
              <span className="mono">{path}</span> {message}
              {file && line && (
                <Text span size="xs" c="dimmed" className="mono">
                  {` ${file}:${line}`}
                </Text>
              )}
            </Text>
          ))}
          {problem && <WayForward problem={problem} />}
          {retry && problem?.status !== 404 && (
            <Button
              variant="default"
              size="xs"
              w="fit-content"
              leftSection={<IconRefresh size={14} />}
              onClick={retry}
            >
              Try again
            </Button>
          )}
        </Stack>
      </Group>
    </Box>
  );
}

/** What is said of a fault. An expression comes with its place behind a blank line, which a mark points at: it keeps its lines. */
export function Detail({ text }: { text: string }) {
  const [told, ...place] = text.split('\n\n');
  return (
    <>
      <Text size="sm" className="anywhere">
        {told}
      </Text>
      {place.length > 0 && <pre className="code">{place.join('\n\n').replace(/\s+$/, '')}</pre>}
    </>
  );
}

function WayForward({ problem }: { problem: Problem }) {
  const { limitName, limit, status, requestId } = problem;
  return (
    <>
      {limitName !== undefined && limit !== undefined && (
        <Text size="sm">
          Limit: <span className="mono">{limitName}</span>, {count(limit)}
        </Text>
      )}
      {problem.hint && (
        <Text size="sm">
          <Hint of={problem} />
        </Text>
      )}
      <ErrorCode {...problem} />
      {status >= 500 && requestId && (
        <Text size="xs" c="dimmed">
          Request <span className="mono">{requestId}</span>
        </Text>
      )}
    </>
  );
}

/** The code, as a link to what it means where the server said so. */
function ErrorCode({ code, type }: Problem) {
  const look = { size: 'xs', c: 'dimmed', className: 'mono', w: 'fit-content' } as const;
  if (type === undefined) return <Text {...look}>{code}</Text>;
  return (
    <Anchor {...look} href={type} target="_blank">
      {code}
    </Anchor>
  );
}

export function Empty({ title, children, icon }: { title: string; children?: ReactNode; icon?: ReactNode }) {
  return (
    <Stack className="empty" align="center" gap={6} px="md" ta="center">
      {icon && <Box c="dimmed">{icon}</Box>}
      <Text fw={600}>{title}</Text>
      <Text size="sm" c="dimmed" maw={520} component="div">
        {children}
      </Text>
    </Stack>
  );
}

export function Loading({ lines = 6 }: { lines?: number }) {
  return (
    <Stack gap="sm" p="md" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: bars that never change places
        <Skeleton key={line} height={18} width={`${95 - ((line * 17) % 40)}%`} />
      ))}
    </Stack>
  );
}

/** Where a table will stand. */
export function LoadingPanel() {
  return (
    <div className="panel">
      <Loading />
    </div>
  );
}

/** The answer of a question in each of its states; an answer that is there stays while it is read again. */
export function Answer<Data>({
  query,
  children,
  loading = <Loading />,
}: {
  query: { data: Data | undefined; error: Error | null; refetch(): unknown };
  children: (data: Data) => ReactNode;
  loading?: ReactNode;
}) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <ProblemView error={query.error} retry={() => void query.refetch()} />;
  return loading;
}
