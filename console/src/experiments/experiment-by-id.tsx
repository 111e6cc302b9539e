import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Navigate } from '@tanstack/react-router';
import { experimentQuery } from '../api/experiments.ts';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';

const route = getRouteApi('/experiments/by-id/$id');

/** Leads on to the experiment of an id: MLflow's links know no name. */
export function ExperimentById() {
  const { id } = route.useParams();
  const experiment = useQuery(experimentQuery(id));
  const name = experiment.data?.name;
  // The heading stays until the other page is there.
  if (name !== undefined)
    return (
      <Page title={name}>
        <Navigate to="/experiments/$name" params={{ name }} replace />
      </Page>
    );
  return (
    <Page title={`Experiment ${id}`}>
      <Answer query={experiment}>
        {() => (
          <Panel>
            <Empty title="There is no such experiment">It may have been deleted.</Empty>
          </Panel>
        )}
      </Answer>
    </Page>
  );
}
