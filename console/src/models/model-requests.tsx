import { Group, Select, Stack, Text } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { modelRequestsQuery, requestsPath, type SampledRequest } from '../api/model-requests.ts';
import { meQuery } from '../api/queries.ts';
import { withQuery } from '../api/request.ts';
import type { Json } from '../api/shapes.ts';
import { Badge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { duration, exactTime, shortId } from '../display/format.ts';
import { JsonView } from '../display/json-view.tsx';
import { PageLink } from '../display/link.tsx';
import { MoreButton } from '../display/more-button.tsx';
import { SidePanel } from '../display/overlay.tsx';
import { Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import type { Tone } from '../display/tone.ts';
import { Who } from '../display/who.tsx';
import { answeredLine, askedLine, usageText } from './request-text.ts';

const route = getRouteApi('/models/$name');
const TONES: Readonly<Record<string, Tone>> = { answered: 'good', degraded: 'attention', failed: 'bad' };

/** What the model was asked and answered, as far as its definition keeps a sample; nothing for who may not see it. */
export function ModelRequests({ model }: { model: string }) {
  const me = useQuery(meQuery);
  return me.data?.permissions.includes('serving.requests') ? <Requests model={model} /> : null;
}

function Requests({ model }: { model: string }) {
  const { status, request: selected } = route.useSearch();
  const navigate = route.useNavigate();
  const requests = useInfiniteQuery(modelRequestsQuery(model, { status }));
  const items = requests.data?.pages.flatMap((page) => page.items) ?? [];
  const change = (part: { status?: string | undefined; request?: string | undefined }) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true, resetScroll: false });
  return (
    <Stack gap="sm">
      <Panel
        title="Sampled requests"
        padded={false}
        aside={
          <Group gap="xs">
            <Select
              aria-label="Which requests"
              placeholder="All of them"
              size="xs"
              data={Object.keys(TONES)}
              value={status ?? null}
              onChange={(value) => change({ status: value ?? undefined })}
              clearable
              w={140}
            />
            <CopyAs
              what="These requests"
              command={{
                method: 'GET',
                path: withQuery(requestsPath(model), { status }),
                cli: `models requests ${model}`,
              }}
            />
          </Group>
        }
      >
        <Answer query={requests}>
          {() =>
            items.length === 0 ? (
              <Empty title="No request is kept">
                Its definition says which part of the requests is, with <code>{'log: { sample: 0.01 }'}</code>{' '}
                under <code>serving</code>.
              </Empty>
            ) : (
              <RequestTable requests={items} selected={selected} onOpen={(request) => change({ request })} />
            )
          }
        </Answer>
      </Panel>
      <MoreButton query={requests}>Show older requests</MoreButton>
      <SidePanel
        opened={selected !== undefined}
        onClose={() => change({ request: undefined })}
        title={selected === undefined ? '' : `Request ${shortId(selected)}`}
      >
        <RequestFacts request={items.find(({ id }) => id === selected)} />
      </SidePanel>
    </Stack>
  );
}

interface RequestTableProps {
  requests: readonly SampledRequest[];
  selected: string | undefined;
  onOpen: (id: string) => void;
}

function RequestTable({ requests, selected, onOpen }: RequestTableProps) {
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Answer</th>
          <th>Version</th>
          <th className="wide-only">Asked</th>
          <th className="wide-only">Answered</th>
          <th className="end">Took</th>
          <th className="end">When</th>
        </tr>
      </thead>
      <tbody>
        {requests.map(({ id, at, version, status, answeredBy, latencyMs, request, answer, error }) => (
          <tr key={id} data-clickable="true" aria-selected={id === selected} onClick={() => onOpen(id)}>
            <td>
              <button type="button" className="row-button" onClick={() => onOpen(id)}>
                <Badge tone={TONES[status] ?? 'quiet'} dot>
                  {status}
                </Badge>
              </button>
            </td>
            <td>
              v{version}
              {status === 'degraded' && answeredBy && ` → ${answeredBy.model} v${answeredBy.version}`}
            </td>
            <td className="wide-only mono">{askedLine(request)}</td>
            <td className="wide-only mono">{error ? error.code : answeredLine(answer)}</td>
            <td className="end number">{duration(latencyMs)}</td>
            <td className="end">
              <Time at={at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function RequestFacts({ request }: { request: SampledRequest | undefined }) {
  if (!request)
    return (
      <Text size="sm" c="dimmed">
        It is not among those that are shown.
      </Text>
    );
  const { runId, caller, redacted, truncated, answer, error, at } = request;
  const usage = usageText(request);
  return (
    <Stack gap="md">
      <Text size="sm">
        {exactTime(at)}
        {caller && (
          <>
            , by <Who id={caller.id} />
          </>
        )}
        {typeof runId === 'string' && (
          <>
            , in the run{' '}
            <PageLink to="/runs/$id" params={{ id: runId }}>
              {shortId(runId)}
            </PageLink>
          </>
        )}
        .{redacted.length > 0 && ` Not kept: ${redacted.join(', ')}.`}
        {truncated && ' Not all of it was kept: it was too long.'}
      </Text>
      {usage && <Text size="sm">{usage}</Text>}
      <Text fw={600} size="sm">
        What was asked
      </Text>
      <JsonView value={request.request} label="Input" />
      <Text fw={600} size="sm">
        What was answered
      </Text>
      {answer !== null && <JsonView value={answer} label="Answer" />}
      {error !== null && <JsonView value={error} label="Error" />}
      <Text fw={600} size="sm">
        How
      </Text>
      <JsonView value={rest(request)} label="How it was answered" />
    </Stack>
  );
}

function rest({ request: _, answer: __, error: ___, ...others }: SampledRequest): Json {
  return others as unknown as Json;
}
