import type { VerifyReport } from '../audit/verify.ts';
import { details } from './table.ts';
import { visibleLine } from './visible.ts';

/** Problems that are written out; the rest are counted. */
const mostProblems = 10;

/** What verification found, for people: the verdict first, then where it goes wrong, then what was looked at. */
export function verdict(report: VerifyReport, keyFromLog: boolean): string {
  const { ok, firstBad, problems, problemCount } = report;
  const first =
    firstBad === undefined
      ? ''
      : `First bad entry: ${firstBad.entry}, in ${visibleLine(firstBad.file)} at byte ${firstBad.offset}.\n`;
  const shown = problems.slice(0, mostProblems).map(({ message }) => `  ${visibleLine(message)}\n`);
  const more = problemCount > shown.length ? `  and ${problemCount - shown.length} more\n` : '';
  return [
    ok ? 'VERIFIED: the log is what was signed.\n' : 'NOT VERIFIED: this is not the log that was signed.\n',
    first,
    ...shown,
    more,
    facts(report),
    ok && keyFromLog ? ownKey : '',
  ].join('');
}

const ownKey =
  'The key came from the log itself, so whoever replaced the log could have replaced the key. Compare with one you kept: --vkey KEY.\n';

function facts({
  origin,
  size,
  root,
  entries,
  events,
  unsigned,
  firstTime,
  lastTime,
  openIntentCount,
}: VerifyReport): string {
  return details([
    ['origin', origin],
    ['signed', `${size} entries${root === undefined ? '' : `, root ${root}`}`],
    ['read', `${entries} entries, ${events} events`],
    ['from', firstTime],
    ['to', lastTime],
    ['unsigned', unsigned === 0 ? undefined : `${unsigned} entries since the last checkpoint: looked at, not proved`],
    ['unfinished', openIntentCount === 0 ? undefined : `${openIntentCount} commands without an outcome`],
  ]);
}
