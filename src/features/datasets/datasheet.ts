import type { ColumnProfile } from './column-profile.ts';
import type { Told } from './croissant.ts';

import type { DatasheetSection, SplitBody } from './dataset-kind.ts';
import type { DatasetVersion } from './dataset-version.ts';

const TITLES: Readonly<Record<DatasheetSection, string>> = {
  motivation: 'Motivation',
  composition: 'Composition',
  collection: 'Collection process',
  preprocessing: 'Preprocessing',
  uses: 'Uses',
  distribution: 'Distribution',
  maintenance: 'Maintenance',
};

/**
 * A version's datasheet in Markdown, with the sections of Gebru et al., “Datasheets for Datasets” (2021): in each the owner's words, then what is
 * known of the version.
 *
 * @example datasheetOf(version, { body, descriptions, contentUrl }) // '# Datasheet: return-risk-training, version 3\n…'
 */
export function datasheetOf(version: DatasetVersion, told: Omit<Told, 'contentUrl'>): string {
  const { dataset, version: number, digest } = version;
  const { body } = told;
  const known: Record<DatasheetSection, string[]> = {
    motivation: motivation(told),
    composition: composition(version, told),
    collection: collection(version),
    preprocessing: preprocessing(version, told),
    uses: uses(version, told),
    distribution: [
      ...(body.licence === undefined ? ['No licence was given.'] : [`Licence: ${body.licence}.`]),
      `One Parquet file of ${version.sizeBytes.toLocaleString('en')} bytes, \`${digest}\`.`,
    ],
    maintenance: maintenance(version, told),
  };
  const sections = (Object.keys(TITLES) as DatasheetSection[]).map((section) => {
    const words = body.datasheet?.[section];
    return [`## ${TITLES[section]}`, ...(words === undefined ? [] : [words.trim()]), ...known[section]].join(
      '\n\n',
    );
  });
  return `${[`# Datasheet: ${dataset}, version ${number}`, ...sections].join('\n\n')}\n`;
}

function motivation({ body: { description, owner } }: Pick<Told, 'body'>): string[] {
  return [
    ...(description === undefined ? [] : [description.trim()]),
    owner === undefined ? 'No owner was named.' : `Owner: ${owner}.`,
  ];
}

function composition(version: DatasetVersion, { descriptions }: Pick<Told, 'descriptions'>): string[] {
  const { rows, columns, profile, parts } = version;
  const table = columns.map(({ name, type, role }) => {
    const column = profile[name];
    const cells = [
      `\`${name}\``,
      role,
      type,
      column ? `${percent(column.nulls / rows)}` : '',
      column ? column.distinct.toLocaleString('en') : '',
      column ? valuesOf(column) : '',
      descriptions.get(name) ?? '',
    ];
    return `| ${cells.map(cell).join(' | ')} |`;
  });
  const split = Object.entries(parts ?? {}).map(([part, count]) => `${part} ${count.toLocaleString('en')}`);
  return [
    `${rows.toLocaleString('en')} rows; each is an entity at a time, with the features that were known of it then.`,
    ...(split.length > 0 ? [`Parts: ${split.join(', ')} rows.`] : []),
    [
      '| column | role | type | nulls | distinct | values | meaning |',
      '| --- | --- | --- | --- | --- | --- | --- |',
      ...table,
    ].join('\n'),
  ];
}

function collection({ query, createdAt, createdBy }: DatasetVersion): string[] {
  const { entities } = query;
  const from =
    'events' in entities
      ? `events of the type \`${entities.events.type}\`${entities.events.filter === undefined ? '' : ` for which \`${entities.events.filter}\``}${entities.from === undefined ? '' : `, from ${entities.from}`}${entities.to === undefined ? '' : `, before ${entities.to}`}`
      : 'rows' in entities
        ? 'rows that were sent'
        : `a ${entities.file} file that was sent`;
  return [
    `The entity rows are ${from}. Made on ${new Date(createdAt).toISOString()} by ${createdBy}.`,
    query.createdBefore === undefined
      ? 'Everything counted that had been recorded when it was made.'
      : `Only what had been recorded by ${query.createdBefore} counted.`,
  ];
}

function preprocessing({ query }: DatasetVersion, { body }: Pick<Told, 'body'>): string[] {
  const pins = query.pins.map(({ kind, name, version }) => `- ${kind} \`${name}\`, version ${version}`);
  const { split } = body;
  return [
    `Features are computed by a point-in-time query: nothing after the time of a row is in it. Made with:\n\n${pins.join('\n')}`,
    ...(split ? [splitWords(split)] : []),
  ];
}

function splitWords({ by, train, valid = 0, test = 0, on }: SplitBody): string {
  const shares = `${percent(train)} train, ${percent(valid)} valid, ${percent(test)} test`;
  return by === 'time'
    ? `Split in the order of time: ${shares}; no row of a part is older than one of the part before it.`
    : `Split by a hash of ${on ? on.join(', ') : 'the keys'}: ${shares}; rows that are equal in these are in one part.`;
}

function uses(
  { models, columns }: DatasetVersion,
  { body: { intendedUses = [] } }: Pick<Told, 'body'>,
): string[] {
  const labels = columns.filter(({ role }) => role === 'label').map(({ name }) => `\`${name}\``);
  const trained = models.map(({ name, version }) => `${name} ${version}`);
  return [
    ...(intendedUses.length > 0
      ? [`Intended for:\n\n${intendedUses.map((use) => `- ${use}`).join('\n')}`]
      : []),
    ...(labels.length > 0 ? [`To be predicted: ${labels.join(', ')}.`] : []),
    trained.length > 0
      ? `Models trained on it: ${trained.join(', ')}.`
      : 'No model that is registered names it.',
  ];
}

function maintenance(
  { definitionVersion, deletedAt }: DatasetVersion,
  { body }: Pick<Told, 'body'>,
): string[] {
  return [
    `A version never changes. It was made by version ${definitionVersion} of the definition.`,
    body.retention === undefined
      ? 'Versions are kept until somebody deletes them.'
      : `Versions that no model names are kept for ${body.retention}, the newest as long as there is none after it.`,
    ...(deletedAt === null ? [] : [`The data was deleted on ${new Date(deletedAt).toISOString()}.`]),
  ];
}

function valuesOf({ min, max, mean, top }: ColumnProfile): string {
  if (mean !== undefined) return `${short(min)} to ${short(max)}, mean ${short(mean)}`;
  if (min !== undefined) return `${short(min)} to ${short(max)}`;
  return (top ?? [])
    .slice(0, 3)
    .map(([value]) => `\`${Array.from(value).slice(0, 30).join('')}\``)
    .join(', ');
}

function short(value: number | string | undefined): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(4))) : (value ?? '');
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}

/** A cell of a table: no line of its own, no bar. */
function cell(text: string): string {
  return text.replace(/\s+/g, ' ').replaceAll('|', '\\|');
}
