import type { Database } from '../../store/database.ts';
import { plannedLane, write } from '../../store/lane.ts';
import { columns } from '../../store/rows.ts';
import type { RunAttribute } from './attributes.ts';
import type { AttributeChanges, OperationStore } from './operation-store.ts';

interface Item extends AttributeChanges {
  readonly runId: string;
}

const UPSERT = `insert into workflow_attributes (run_id, name, type, value)
     select * from unnest($1::text[], $2::text[], $3::text[], $4::text[])
     on conflict (run_id, name) do update set type = excluded.type, value = excluded.value`;
const DELETE = `delete from workflow_attributes a using unnest($1::text[], $2::text[]) as u(run_id, name)
     where a.run_id = any($1) and a.run_id = u.run_id and a.name = u.name`;

/** One flush may hold several barriers of a run: a row is written once, with its last value. */
const attributeLane = plannedLane<Item>({
  name: 'workflow.attributes',
  order: 27,
  plan(items) {
    const last = new Map<string, { runId: string; name: string; set: RunAttribute | undefined }>();
    for (const { runId, set, unset } of items) {
      for (const attribute of set)
        last.set(`${runId} ${attribute.name}`, { runId, name: attribute.name, set: attribute });
      for (const name of unset) last.set(`${runId} ${name}`, { runId, name, set: undefined });
    }
    const rows = [...last.values()].sort((a, b) =>
      `${a.runId} ${a.name}` < `${b.runId} ${b.name}` ? -1 : 1,
    );
    const set = rows.filter((row) => row.set);
    const unset = rows.filter((row) => !row.set);
    return {
      statements: [
        ...(set.length > 0
          ? [
              {
                text: UPSERT,
                values: columns(set, ({ runId, name, set }) => [runId, name, set?.type, set?.value]),
              },
            ]
          : []),
        ...(unset.length > 0
          ? [{ text: DELETE, values: columns(unset, ({ runId, name }) => [runId, name]) }]
          : []),
      ],
    };
  },
});

/** What runs are found by. */
export function postgresAttributes(db: Database): Pick<OperationStore, 'attributes' | 'attributesOf'> {
  return {
    attributes: (runId, changes) => write(attributeLane, { runId, ...changes }),
    async attributesOf(runIds) {
      const rows = await db.query<RunAttribute & { run_id: string }>(
        'select run_id, name, type, value from workflow_attributes where run_id = any($1) order by run_id, name',
        [runIds],
      );
      return Map.groupBy(rows, ({ run_id }) => run_id);
    },
  };
}
