import { Anchor, Group } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { type TrainingRun, trainingFilePath, trainingFilesQuery } from '../api/experiments.ts';
import { bytes } from '../display/format.ts';
import { PageLink } from '../display/link.tsx';
import { Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';

const route = getRouteApi('/experiments/runs/$id');

/** The files that a training run left behind, a folder at a time. */
export function TrainingFiles({ run }: { run: TrainingRun }) {
  const { folder = '' } = route.useSearch();
  const files = useQuery(trainingFilesQuery(run, folder));
  const parts = folder.split('/').filter(Boolean);
  return (
    <Panel
      title="Files"
      aside={
        parts.length > 0 && (
          <Group gap={6}>
            <FolderLink id={run.id} folder="" name="all" />
            {parts.map((part, at) => (
              <FolderLink
                key={parts.slice(0, at + 1).join('/')}
                id={run.id}
                folder={parts.slice(0, at + 1).join('/')}
                name={`/ ${part}`}
              />
            ))}
          </Group>
        )
      }
      padded={false}
    >
      <Answer query={files}>
        {({ root_uri: root, files: listed = [] }) =>
          listed.length === 0 ? (
            <Empty title={folder ? 'This folder is empty' : 'It left no files'} />
          ) : (
            <table className="rows" aria-label="Files">
              <tbody>
                {listed.map(({ path, is_dir: isFolder, file_size: size }) => (
                  <tr key={path}>
                    <td>
                      {isFolder ? (
                        <FolderLink id={run.id} folder={path} name={`${lastOf(path)}/`} />
                      ) : (
                        <Anchor
                          href={trainingFilePath(root, path)}
                          download={lastOf(path)}
                          size="sm"
                          style={{ overflowWrap: 'anywhere' }}
                        >
                          {lastOf(path)}
                        </Anchor>
                      )}
                    </td>
                    <td className="end number">{size === undefined ? '' : bytes(size)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Answer>
    </Panel>
  );
}

function FolderLink({ id, folder, name }: { id: string; folder: string; name: string }) {
  return (
    <PageLink
      to="/experiments/runs/$id"
      params={{ id }}
      search={({ metric }) => ({ ...(metric && { metric }), ...(folder && { folder }) })}
      resetScroll={false}
      size="sm"
      style={{ overflowWrap: 'anywhere' }}
    >
      {name}
    </PageLink>
  );
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
