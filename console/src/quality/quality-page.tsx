import { Group, NativeSelect, SimpleGrid, Stack, Text } from '@mantine/core';
import { IconChecklist } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { qualityQuery, queuesQuery } from '../api/queries.ts';
import type { Agreement, Comparison, QueueQuality } from '../api/shapes.ts';
import { Badge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { count, share } from '../display/format.ts';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { LabelsPanel } from './labels-panel.tsx';
import { intervalText, kappaText, strengthOf } from './words.ts';

const route = getRouteApi('/quality');
const DAYS = [
  { value: '7', label: 'Last 7 days' },
  { value: '30', label: 'Last 30 days' },
  { value: '365', label: 'Last year' },
];
const ROUTES: Readonly<Record<string, string>> = {
  auto: 'answered automatically',
  review: 'one person',
  double: 'two people',
};

/** How far the answers of people can be relied on: their agreement with each other and with what was suggested, per queue and period. */
export function QualityPage() {
  const { queue: chosen, days = '30' } = route.useSearch();
  const navigate = route.useNavigate();
  const queues = useQuery(queuesQuery);
  const names = (queues.data?.items ?? []).map(({ name }) => name);
  const queue = chosen ?? names[0];
  // One that is not there stands in the list all the same: else the first would stand for it, and could not be chosen.
  const offered = chosen === undefined || names.includes(chosen) ? names : [chosen, ...names];
  const show = (search: { queue?: string; days?: string }) =>
    void navigate({ search: (before) => ({ ...before, ...search }), replace: true });
  return (
    <Page
      title="Quality"
      subtitle="How often reviewers agree with each other and with the suggestion. Kappa measures agreement beyond chance."
      actions={
        <>
          {!queues.isSuccess || names.length > 0 ? (
            <NativeSelect
              aria-label="Queue"
              w={{ base: '100%', xs: 260 }}
              data={offered}
              value={queue ?? ''}
              onChange={(event) => show({ queue: event.currentTarget.value })}
            />
          ) : null}
          <NativeSelect
            aria-label="Period"
            data={DAYS}
            value={days}
            onChange={(event) => show({ days: event.currentTarget.value })}
          />
          {queue && (
            <CopyAs
              what="These figures"
              command={{ method: 'GET', path: `/api/v1/queues/${queue}/quality`, cli: `quality ${queue}` }}
            />
          )}
        </>
      }
    >
      <Answer query={queues}>
        {() =>
          queue ? (
            <Figures queue={queue} days={Number(days)} />
          ) : (
            <Panel>
              <Empty title="No queue yet" icon={<IconChecklist size={32} />}>
                Tasks for people belong to the queues of a project.
              </Empty>
            </Panel>
          )
        }
      </Answer>
    </Page>
  );
}

function Figures({ queue, days }: { queue: string; days: number }) {
  const quality = useQuery(qualityQuery(queue, days));
  return (
    <Answer query={quality}>
      {(found) => (
        <Stack gap="md">
          <Summary quality={found} />
          <Pairs quality={found} />
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            <Suggestion
              title="With the suggestion, not seen"
              comparison={found.suggestion.blind}
              empty="Nobody has answered without seeing a suggestion: double reviews and checks of automatic answers do."
            />
            <Suggestion
              title="With the suggestion, seen"
              comparison={found.suggestion.shown}
              empty="No answer to a case with a suggestion."
              note="Who sees a suggestion tends to agree with it: this figure flatters."
            />
          </SimpleGrid>
          {found.routes.length > 0 && <Routes quality={found} />}
          <LabelsPanel queue={queue} from={found.from} answers={found.answers} />
        </Stack>
      )}
    </Answer>
  );
}

function Summary({ quality: { answers, complete, reviewers } }: { quality: QueueQuality }) {
  const { overall, adjudicated, method } = reviewers;
  const strength = strengthOf(overall);
  return (
    <Panel title="Reviewers with each other">
      <dl className="facts">
        <Fact name="Answers" value={complete ? count(answers) : `the newest ${count(answers)}`} />
        <Fact name="Answered by two" value={count(overall.count)} />
        <Fact name="Agreed" value={overall.count === 0 ? '–' : share(overall.agreement, 1)} />
        <Fact
          name={method === 'fleiss' ? "Kappa (Fleiss')" : "Kappa (Cohen's)"}
          value={kappaText(overall.kappa)}
        />
        <Fact name="95 % interval" value={intervalText(overall.interval)} />
        <Fact name="Decided by a third" value={count(adjudicated)} />
      </dl>
      <Group gap={8} mt="sm">
        <Badge tone={strength.tone}>{strength.word}</Badge>
        <Text size="sm" c="dimmed">
          {overall.kappa === null
            ? 'Kappa needs cases that two people answered, with more than one kind of answer among them.'
            : 'Judged by the lower end of the interval: few cases prove little.'}
        </Text>
      </Group>
    </Panel>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="number">{value}</dd>
    </div>
  );
}

function Pairs({ quality: { reviewers } }: { quality: QueueQuality }) {
  if (reviewers.pairs.length === 0) return null;
  return (
    <Panel title="Pair by pair" padded={false}>
      <table className="rows">
        <thead>
          <tr>
            <th>Reviewers</th>
            <th className="end">Cases</th>
            <th className="end">Agreed</th>
            <th className="end">Kappa</th>
            <th className="end wide-only">95 %</th>
            <th className="wide-only">Strength</th>
          </tr>
        </thead>
        <tbody>
          {reviewers.pairs.map((pair) => (
            <tr key={`${pair.rows} ${pair.columns}`}>
              <td>
                {pair.rows} and {pair.columns}
              </td>
              <AgreementCells agreement={pair} />
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function AgreementCells({ agreement }: { agreement: Agreement }) {
  const strength = strengthOf(agreement);
  return (
    <>
      <td className="end number">{count(agreement.count)}</td>
      <td className="end number">{share(agreement.agreement, 1)}</td>
      <td className="end number">{kappaText(agreement.kappa)}</td>
      <td className="end number wide-only">{intervalText(agreement.interval)}</td>
      <td className="wide-only">
        <Badge tone={strength.tone}>{strength.word}</Badge>
      </td>
    </>
  );
}

interface SuggestionProps {
  title: string;
  comparison: Comparison;
  empty: string;
  note?: string;
}

function Suggestion({ title, comparison, empty, note }: SuggestionProps) {
  const { table, count: cases, agreement, kappa, interval } = comparison;
  return (
    <Panel title={title}>
      {cases === 0 ? (
        <Text size="sm" c="dimmed">
          {empty}
        </Text>
      ) : (
        <Stack gap="sm">
          <Text size="sm">
            {count(cases)} answers, {share(agreement, 1)} the same; kappa {kappaText(kappa)}
            {interval && ` (${intervalText(interval)})`}
          </Text>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard (WCAG 2.1.1) */}
          <section style={{ overflowX: 'auto' }} tabIndex={0} aria-label={`${title}: how often`}>
            <ConfusionTable table={table} />
          </section>
          {table.omitted > 0 && (
            <Text size="xs" c="dimmed">
              {count(table.omitted)} answers are not in the table: it has the most frequent ones. Name the
              field that decides as “outcome” of the queue to compare by it alone.
            </Text>
          )}
          {note && (
            <Text size="xs" c="dimmed">
              {note}
            </Text>
          )}
        </Stack>
      )}
    </Panel>
  );
}

function ConfusionTable({ table: { categories, counts } }: Pick<Comparison, 'table'>) {
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>{'Said \\ suggested'}</th>
          {categories.map((category) => (
            <th key={category} className="end">
              {category}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {counts.map((row, index) => (
          <tr key={categories[index]}>
            <td>{categories[index]}</td>
            {row.map((cell, column) => (
              <td
                key={categories[column]}
                className="end number"
                style={index === column ? { fontWeight: 600 } : undefined}
              >
                {count(cell)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Routes({ quality: { routes } }: { quality: QueueQuality }) {
  return (
    <Panel title="Where confidence has led" padded={false}>
      <table className="rows">
        <thead>
          <tr>
            <th className="wide-only">Band</th>
            <th>Who answers</th>
            <th className="end">Cases</th>
            <th className="end">Checked</th>
          </tr>
        </thead>
        <tbody>
          {routes.map(({ band, route: way, cases, sampled }) => (
            <tr key={`${band} ${way}`}>
              <td className="number wide-only">{band + 1}</td>
              <td>{ROUTES[way] ?? way}</td>
              <td className="end number">{count(cases)}</td>
              <td className="end number">{way === 'auto' ? share(sampled, cases) : 'all'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
