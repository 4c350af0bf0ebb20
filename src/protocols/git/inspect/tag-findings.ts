import { parseTag } from './commit-object.ts';
import type { Examination } from './examination.ts';
import type { Finding } from './findings.ts';
import { isVerifiedTag } from './signatures.ts';
import { TooLarge } from './too-large.ts';

const mostTagBytes = 65_536;

/** What an annotated tag says: its message, who made it, whether it is signed. Throws TooLarge. */
export async function tagFindings(id: string, exam: Examination): Promise<Finding[]> {
  const bytes = (await exam.reader.head(id, mostTagBytes + 1)) ?? Buffer.alloc(0);
  const tag = parseTag(bytes);
  if (tag === undefined || bytes.length > mostTagBytes) throw new TooLarge('a tag object of more than 64 KiB');
  const found: Finding[] = [...exam.secretsOf(bytes.toString('latin1'), { text: `in the tag ${id}` })];
  if (tag.tagger !== undefined && exam.isStranger(tag.tagger)) {
    found.push({ name: 'author.mismatch', text: exam.masked(`the tagger ${tag.tagger.email} is not the caller`) });
  }
  const { allowedSigners } = exam.settings.signatures;
  if (!tag.signed) found.push({ name: 'unsigned', text: `no signature on the tag ${id}` });
  else if (allowedSigners !== undefined && !(await isVerifiedTag(exam.git, id, allowedSigners, exam.signal))) {
    found.push({ name: 'unsigned', text: `the tag ${id} is not signed by an allowed signer` });
  }
  return found;
}
