import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import { meQuery } from './queries.ts';
import { ProblemError } from './request.ts';

const statusOf = (error: unknown) => (error instanceof ProblemError ? error.problem.status : undefined);

/** Who asks is asked again when an answer says that nobody is known any more: the frame then asks them to log in. */
function onError(error: unknown): void {
  const wasKnown = queries.getQueryData(meQuery.queryKey) !== undefined;
  if (wasKnown && statusOf(error) === 401) void queries.invalidateQueries({ queryKey: meQuery.queryKey });
}

/** The answers of the API that the pages keep. */
export const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, { queryKey }) => queryKey[0] !== meQuery.queryKey[0] && onError(error),
  }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      // Without a network the server of this machine is still there; and where it is not, the page says so.
      networkMode: 'always',
      // What the server refuses it refuses again; what could not be reached may come back.
      retry: (failures, error) => {
        const status = statusOf(error);
        return failures < 3 && !(status !== undefined && status >= 400 && status < 500);
      },
    },
    mutations: { networkMode: 'always' },
  },
});
