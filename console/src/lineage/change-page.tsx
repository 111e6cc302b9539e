import { Button, Group, Select, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { applyFiles, fileOf, folderOf, KINDS, namesQuery, sourceQuery } from '../api/definitions.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { LineageLink } from '../display/lineage-link.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty, ProblemView } from '../display/states.tsx';
import { type AddedFile, CodeText, DefinitionFiles } from './definition-files.tsx';
import { DependentsPanel } from './dependents-panel.tsx';
import { ImpactReport } from './impact-report.tsx';

const route = getRouteApi('/change');

/** A definition before it is changed: what depends on it, what a change of its text would do to that, and the change. */
export function ChangePage() {
  const { kind = '', name = '' } = route.useSearch();
  const navigate = route.useNavigate();
  const isKnown = KINDS[kind] !== undefined;
  const names = useQuery({ ...namesQuery(kind), enabled: isKnown });
  const chosen = isKnown && name !== '';
  return (
    <Page
      title="Change"
      subtitle={chosen ? `${kind} ${name}` : 'What depends on a definition, and what would a change affect?'}
      actions={
        chosen && (
          <>
            <LineageLink node={`${kind}:${name}`} />
            <CopyAs
              what="This definition"
              command={{
                method: 'GET',
                path: `/api/v1/${KINDS[kind]!.collection}/${encodeURIComponent(name)}/versions`,
                cli: 'plan FOLDER',
              }}
            />
          </>
        )
      }
    >
      <Group align="flex-end">
        <Select
          label="Kind"
          data={Object.keys(KINDS)}
          value={isKnown ? kind : null}
          onChange={(value) => void navigate({ search: value ? { kind: value } : {} })}
        />
        <Select
          label="Name"
          searchable
          disabled={!isKnown}
          data={names.data?.items.map((each) => each.name) ?? []}
          value={name || null}
          onChange={(value) => void navigate({ search: value ? { kind, name: value } : { kind } })}
        />
      </Group>
      {chosen ? (
        <Chosen key={`${kind}/${name}`} kind={kind} name={name} />
      ) : (
        <Empty title="Choose a definition">Looking at what a change would do changes nothing.</Empty>
      )}
    </Page>
  );
}

function Chosen({ kind, name }: { kind: string; name: string }) {
  const source = useQuery(sourceQuery(kind, name));
  return (
    <Answer query={source}>
      {({ version, source: text, body: { module, code } }) => {
        const folder = folderOf(kind, name);
        const kept =
          module && code
            ? [{ id: module, path: `${folder}/${module.replace(/^\.\//, '')}`, text: code }]
            : [];
        return (
          <Stack gap="md">
            <Editor key={version} kind={kind} name={name} source={text} version={version} kept={kept} />
            <DependentsPanel kind={kind} name={name} />
          </Stack>
        );
      }}
    </Answer>
  );
}

interface Edited {
  kind: string;
  name: string;
  source: string;
  version: number;
  /** The files that the version was made with, as far as they are kept with it. */
  kept: readonly AddedFile[];
}

function tellApplied(changes: readonly { kind: string; name: string; action: string; toVersion: number }[]) {
  const made = changes.filter(({ action }) => action !== 'unchanged');
  notifications.show({
    title: 'Applied',
    message: made.map((one) => `${one.kind} ${one.name} is now version ${one.toVersion}`).join(', '),
    color: 'teal',
  });
}

function Editor({ kind, name, source, version, kept }: Edited) {
  const queries = useQueryClient();
  const [text, setText] = useState(source);
  const [files, setFiles] = useState(kept);
  const all = [
    fileOf(kind, name, text),
    ...files.map(({ path, text: written, base64 }) => ({
      path,
      ...(base64 === undefined ? { text: written ?? '' } : { base64 }),
    })),
  ];
  const plan = useMutation({ mutationFn: () => applyFiles(all, true) });
  const apply = useMutation({
    mutationFn: () => applyFiles(all, false),
    onSuccess: ({ changes }) => {
      tellApplied(changes);
      return queries.invalidateQueries();
    },
  });
  const problem = apply.error ?? plan.error;
  // Only what was looked at may be applied: what is written on has another report.
  const changed = () => {
    plan.reset();
    apply.reset();
  };
  const mayApply = plan.data?.changes.some(({ action }) => action !== 'unchanged') ?? false;
  return (
    <>
      <Panel title={`Version ${version}`}>
        <Stack gap="sm">
          <CodeText
            label="Text of the definition"
            value={text}
            onChange={(written) => {
              setText(written);
              changed();
            }}
          />
          <DefinitionFiles
            folder={folderOf(kind, name)}
            files={files}
            onChange={(change) => {
              setFiles(change);
              changed();
            }}
          />
          <Group>
            <Button variant="default" loading={plan.isPending} onClick={() => plan.mutate()}>
              What would this change?
            </Button>
            {mayApply && (
              <Button loading={apply.isPending} onClick={() => apply.mutate()}>
                Apply
              </Button>
            )}
          </Group>
          {problem && <ProblemView error={problem} />}
          {!plan.data && !problem && (
            <Text size="sm" c="dimmed">
              Change the text and ask; nothing is applied by that. Several definitions at once: aios plan.
            </Text>
          )}
        </Stack>
      </Panel>
      {plan.data && <ImpactReport plan={plan.data} />}
    </>
  );
}
