import type { Population } from './populations.ts';
import type { Row, Tables } from './tables.ts';

/** Commands or sessions that the story of one sample names, at most. */
const most = 20;

/** Numbers of the events that tell a row's whole story, ascending: who, with what credential, by which decision, who said yes, how it ended, which recording. */
export function storyOf(tables: Tables, { story }: Population, row: Row): readonly number[] {
  const seqs = new Set<number>();
  const add = (sql: string, values: Row): Row[] => {
    const found = [...tables.rows(sql, values)];
    for (const one of found)
      for (const value of Object.values(one)) if (typeof value === 'number' && value > 0) seqs.add(value);
    return found;
  };
  const seq = Number(row.seq);
  if (seq > 0) seqs.add(seq);
  const session = (id: unknown): void => {
    if (typeof id !== 'string') return;
    add('SELECT seq, terminated_seq, sealed_seq, ended_seq FROM sessions WHERE id = :id', { id });
    add('SELECT t.seq, t.revoked_seq FROM tickets t JOIN sessions s ON s.proof = t.id WHERE s.id = :id', { id });
  };
  const approval = (id: unknown): void => {
    if (typeof id !== 'string') return;
    add('SELECT seq, consumed_seq, expired_seq FROM approvals WHERE id = :id', { id });
    add('SELECT seq FROM answers WHERE approval = :id', { id });
    add('SELECT seq, outcome_seq FROM commands WHERE approval = :id', { id });
    for (const { requested } of [...tables.rows('SELECT session AS requested FROM approvals WHERE id = :id', { id })])
      session(requested);
  };
  switch (story) {
    case 'command':
      add('SELECT seq, outcome_seq FROM commands WHERE seq = :seq', { seq });
      session(row.session);
      approval(row.approval);
      break;
    case 'approval':
      approval(row.approval);
      break;
    case 'session': {
      const [found] = [...tables.rows('SELECT id FROM sessions WHERE seq = :seq', { seq })];
      session(found?.id);
      add(`SELECT seq, outcome_seq FROM commands WHERE session = :id ORDER BY seq LIMIT ${most}`, {
        id: found?.id ?? '',
      });
      break;
    }
    case 'ticket':
      add('SELECT seq, revoked_seq FROM tickets WHERE seq = :seq', { seq });
      add(`SELECT s.seq, s.ended_seq FROM sessions s WHERE s.proof = :id ORDER BY s.seq LIMIT ${most}`, {
        id: row.ticket ?? '',
      });
      break;
    default:
      session(row.session);
  }
  return [...seqs].toSorted((a, b) => a - b);
}
