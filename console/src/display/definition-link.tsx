import { KINDS } from '../api/definitions.ts';
import { PageLink } from './link.tsx';

const PAGES = {
  contract: '/contracts/$name',
  'feature-view': '/features/$name',
  dataset: '/datasets/$name',
} as const;

interface DefinitionLinkProps {
  kind: string;
  name: string;
  /** Of a model: the version that is meant. */
  version?: string | number | undefined;
}

/** The name of a definition, which leads to its page; where it has none of its own, to its text. */
export function DefinitionLink({ kind, name, version }: DefinitionLinkProps) {
  const params = { name };
  const search = version === undefined ? {} : { version: String(version) };
  if (kind === 'model')
    return (
      <PageLink to="/models/$name" params={params} search={search} size="sm" className="anywhere">
        {name}
      </PageLink>
    );
  const page = PAGES[kind as keyof typeof PAGES];
  if (page)
    return (
      <PageLink to={page} params={params} size="sm" className="anywhere">
        {name}
      </PageLink>
    );
  if (!KINDS[kind]) return <span className="anywhere">{name}</span>;
  return (
    <PageLink to="/change" search={{ kind, name }} size="sm" className="anywhere">
      {name}
    </PageLink>
  );
}
