import { Button, Group, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { meQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import { modelPath, promotionsQuery, type WaitingPromotion } from '../api/rollouts.ts';
import { Badge } from '../display/badge.tsx';
import { Panel } from '../display/page.tsx';
import { ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { Who } from '../display/who.tsx';

/** Promotions that wait for approvals, with the buttons of those who may give them. */
export function WaitingPromotions({ model }: { model: string }) {
  const waiting = useQuery(promotionsQuery(model)).data?.items ?? [];
  return waiting.map((promotion) => (
    <Waiting key={promotion.waitsFor.alias} model={model} promotion={promotion} />
  ));
}

function Waiting({ model, promotion }: { model: string; promotion: WaitingPromotion }) {
  const me = useQuery(meQuery);
  const queries = useQueryClient();
  const { alias, version, approvals, approvalsMissing, approvalsNeeded, of, misfits } = promotion.waitsFor;
  const decide = useMutation({
    mutationFn: (decision: 'approve' | 'reject') =>
      act('POST', `${modelPath(model)}/versions/${version}/approvals`, { alias, decision }),
    onSettled: () => queries.invalidateQueries({ queryKey: ['model', model] }),
  });
  const mayDecide = me.data?.permissions.includes('models.approve') ?? false;
  return (
    <Panel title={`v${version} waits to become ${alias}`}>
      <Stack gap="sm">
        <Text size="sm">
          It has {approvalsNeeded - approvalsMissing} of {approvalsNeeded} approvals
          {of && `, from ${of.join(' or ')}`}. Asked for by <Who id={promotion.requestedBy.id} />{' '}
          <Time at={promotion.requestedAt} />.
        </Text>
        {approvals.map(({ person, name, decision, reason }) => (
          <Group key={person} gap="xs">
            <Badge tone={decision === 'approve' ? 'good' : 'bad'}>
              {decision === 'approve' ? 'approved' : 'rejected'}
            </Badge>
            <Text size="sm">
              {name}
              {reason && `: ${reason}`}
            </Text>
          </Group>
        ))}
        {misfits.map(({ path, message }) => (
          <Text key={path} size="sm" className="anywhere">
            Calls of “{alias}” do not fit it: <span className="mono">{path}</span> {message}
          </Text>
        ))}
        {decide.error && <ProblemView error={decide.error} />}
        {mayDecide && (
          <Group gap="xs">
            <Button
              loading={decide.isPending && decide.variables === 'approve'}
              onClick={() => decide.mutate('approve')}
            >
              Approve
            </Button>
            <Button
              variant="default"
              loading={decide.isPending && decide.variables === 'reject'}
              onClick={() => decide.mutate('reject')}
            >
              Reject
            </Button>
          </Group>
        )}
      </Stack>
    </Panel>
  );
}
