import { PageLink } from './link.tsx';

/** To what depends on a definition and what a change of it would do. */
export function ChangeLink({ kind, name }: { kind: string; name: string }) {
  return (
    <PageLink to="/change" search={{ kind, name }} size="sm">
      Change
    </PageLink>
  );
}
