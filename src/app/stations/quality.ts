import type { AuditLog } from '../../ledger/audit.ts';
import type { Lineage } from '../../ledger/lineage.ts';
import type { SubjectKeys } from '../../ledger/subject-keys.ts';
import type { Committer } from '../../store/group-commit.ts';
import { Labels } from '../../tasks/labels.ts';
import { QualityReader } from '../../tasks/quality.ts';
import type { Queues } from '../../tasks/queues.ts';
import type { Ground } from './ground.ts';

interface Ledger {
  readonly subjectKeys: SubjectKeys;
  readonly auditLog: AuditLog;
  readonly lineage: Lineage;
}

type Store = Pick<Ground, 'db' | 'clock' | 'limits'> & { readonly commit: Committer };

/** What the answers of people are good for: their agreement, and the labels that they are; and how a person is taken out of them. */
export function createQuality(
  { db, commit, clock, limits }: Store,
  queues: Queues,
  { subjectKeys, auditLog, lineage }: Ledger,
) {
  const labels = new Labels({
    db,
    queues,
    pseudonym: (personId) => subjectKeys.nameOf(`person:${personId}`),
    pinsOf: (runIds) => lineage.pinsOfRuns(runIds),
  });
  return {
    quality: new QualityReader({ db, queues, limits }),
    labels,
    /** Destroys what is kept of a person, and records that it was done; answers whether anything was kept under their key. */
    async eraseSubject(subject: string, by: { readonly id: string }): Promise<boolean> {
      const [erased] = await commit.commit([
        subjectKeys.erasure(subject),
        labels.erasure(subject),
        auditLog.entry({
          kind: 'subject',
          action: 'erased',
          actor: { kind: 'person', id: by.id },
          object: `subject:${subjectKeys.nameOf(subject)}`,
          at: clock.now(),
          payload: {},
        }),
      ]);
      return erased === true;
    },
  };
}
