import { PageLink } from './link.tsx';

/** To the graph around a node, `kind:name`. */
export function LineageLink({ node }: { node: string }) {
  return (
    <PageLink to="/lineage" search={{ node }} size="sm">
      Lineage
    </PageLink>
  );
}
