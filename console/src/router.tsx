import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router';
import { Page } from './display/page.tsx';
import { ProblemView } from './display/states.tsx';
import { pageOfMlflow } from './experiments/mlflow-address.ts';
import { Frame } from './shell/frame.tsx';
import { isMissingPart, MissingPart } from './shell/missing-part.tsx';
import { NotFoundPage } from './shell/not-found-page.tsx';

/** The filters of a page live in its address: a link shows what its sender saw. */
function texts<Name extends string>(...names: Name[]) {
  return (search: Record<string, unknown>): Partial<Record<Name, string>> =>
    Object.fromEntries(
      names.flatMap((name) => {
        const value = search[name];
        return value === undefined || value === '' ? [] : [[name, String(value)]];
      }),
    ) as Partial<Record<Name, string>>;
}

const root = createRootRoute({ component: Frame, notFoundComponent: NotFoundPage });
const parent = { getParentRoute: () => root };

const routes = [
  createRoute({
    ...parent,
    path: '/',
    beforeLoad: ({ location }) => {
      const page = pageOfMlflow(location.hash);
      if (page) throw redirect({ ...page, replace: true });
    },
    component: lazyRouteComponent(() => import('./home/home-page.tsx'), 'HomePage'),
  }),
  createRoute({
    ...parent,
    path: '/runs',
    validateSearch: texts('workflow', 'version', 'status', 'since', 'q'),
    component: lazyRouteComponent(() => import('./runs/runs-page.tsx'), 'RunsPage'),
  }),
  createRoute({
    ...parent,
    path: '/runs/versions',
    validateSearch: texts('workflow'),
    component: lazyRouteComponent(() => import('./runs/versions-page.tsx'), 'VersionsPage'),
  }),
  createRoute({
    ...parent,
    path: '/runs/queues',
    component: lazyRouteComponent(() => import('./runs/queues-page.tsx'), 'QueuesPage'),
  }),
  createRoute({
    ...parent,
    path: '/runs/schedules',
    component: lazyRouteComponent(() => import('./runs/schedules-page.tsx'), 'SchedulesPage'),
  }),
  createRoute({
    ...parent,
    path: '/runs/$id',
    validateSearch: texts('step', 'attempt'),
    component: lazyRouteComponent(() => import('./runs/run-page.tsx'), 'RunPage'),
  }),
  createRoute({
    ...parent,
    path: '/inbox',
    validateSearch: texts('task', 'status'),
    component: lazyRouteComponent(() => import('./inbox/inbox-page.tsx'), 'InboxPage'),
  }),
  createRoute({
    ...parent,
    path: '/quality',
    validateSearch: texts('queue', 'days'),
    component: lazyRouteComponent(() => import('./quality/quality-page.tsx'), 'QualityPage'),
  }),
  createRoute({
    ...parent,
    path: '/models',
    validateSearch: texts('q'),
    component: lazyRouteComponent(() => import('./models/models-page.tsx'), 'ModelsPage'),
  }),
  createRoute({
    ...parent,
    path: '/models/$name',
    validateSearch: texts('version', 'status', 'request'),
    component: lazyRouteComponent(() => import('./models/model-page.tsx'), 'ModelPage'),
  }),
  createRoute({
    ...parent,
    path: '/experiments',
    component: lazyRouteComponent(() => import('./experiments/experiments-page.tsx'), 'ExperimentsPage'),
  }),
  createRoute({
    ...parent,
    path: '/experiments/$name',
    validateSearch: texts('filter', 'order', 'metric', 'runs'),
    component: lazyRouteComponent(() => import('./experiments/experiment-page.tsx'), 'ExperimentPage'),
  }),
  createRoute({
    ...parent,
    path: '/experiments/by-id/$id',
    component: lazyRouteComponent(() => import('./experiments/experiment-by-id.tsx'), 'ExperimentById'),
  }),
  createRoute({
    ...parent,
    path: '/experiments/runs/$id',
    validateSearch: texts('metric', 'folder'),
    component: lazyRouteComponent(() => import('./experiments/training-run-page.tsx'), 'TrainingRunPage'),
  }),
  createRoute({
    ...parent,
    path: '/budgets',
    component: lazyRouteComponent(() => import('./budgets/budgets-page.tsx'), 'BudgetsPage'),
  }),
  createRoute({
    ...parent,
    path: '/events',
    validateSearch: texts('tab', 'type', 'subject', 'source', 'filter', 'q'),
    component: lazyRouteComponent(() => import('./events/events-page.tsx'), 'EventsPage'),
  }),
  createRoute({
    ...parent,
    path: '/contracts',
    validateSearch: texts('q'),
    component: lazyRouteComponent(() => import('./contracts/contracts-page.tsx'), 'ContractsPage'),
  }),
  createRoute({
    ...parent,
    path: '/contracts/$name',
    validateSearch: texts('from', 'to'),
    component: lazyRouteComponent(() => import('./contracts/contract-page.tsx'), 'ContractPage'),
  }),
  createRoute({
    ...parent,
    path: '/features',
    validateSearch: texts('q'),
    component: lazyRouteComponent(() => import('./features/feature-views-page.tsx'), 'FeatureViewsPage'),
  }),
  createRoute({
    ...parent,
    path: '/features/$name',
    component: lazyRouteComponent(() => import('./features/feature-view-page.tsx'), 'FeatureViewPage'),
  }),
  createRoute({
    ...parent,
    path: '/datasets',
    validateSearch: texts('q'),
    component: lazyRouteComponent(() => import('./datasets/datasets-page.tsx'), 'DatasetsPage'),
  }),
  createRoute({
    ...parent,
    path: '/datasets/$name',
    validateSearch: texts('version'),
    component: lazyRouteComponent(() => import('./datasets/dataset-page.tsx'), 'DatasetPage'),
  }),
  createRoute({
    ...parent,
    path: '/lineage',
    validateSearch: texts('node', 'direction', 'depth'),
    component: lazyRouteComponent(() => import('./lineage/lineage-page.tsx'), 'LineagePage'),
  }),
  createRoute({
    ...parent,
    path: '/change',
    validateSearch: texts('kind', 'name'),
    component: lazyRouteComponent(() => import('./lineage/change-page.tsx'), 'ChangePage'),
  }),
  createRoute({
    ...parent,
    path: '/audit',
    validateSearch: texts('object', 'kind', 'entry'),
    component: lazyRouteComponent(() => import('./audit/audit-page.tsx'), 'AuditPage'),
  }),
  createRoute({
    ...parent,
    path: '/keys',
    validateSearch: texts('state', 'key', 'q'),
    component: lazyRouteComponent(() => import('./keys/keys-page.tsx'), 'KeysPage'),
  }),
] as const;

export const router = createRouter({
  routeTree: root.addChildren(routes),
  defaultPreload: 'intent',
  scrollRestoration: true,
  defaultErrorComponent: ({ error, reset }) =>
    isMissingPart(error) ? (
      <MissingPart />
    ) : (
      <Page title="Something went wrong on this page">
        <ProblemView error={error instanceof Error ? error : new Error(String(error))} retry={reset} />
      </Page>
    ),
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
