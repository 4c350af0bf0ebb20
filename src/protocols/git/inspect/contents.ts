import type { ObjectReader } from '../quarantine/object-reader.ts';
import type { SecretSearch } from './find-secrets.ts';
import { type ScannedSecret, SecretScanner } from './secret-scanner.ts';
import { programKind } from './special-files.ts';
import { TooLarge } from './too-large.ts';

/** What is worth knowing of a file's content. */
export interface ContentReport {
  readonly size: number;
  readonly secrets: readonly ScannedSecret[];
  readonly binary: boolean;
  /** Which kind of compiled program it is. */
  readonly program: string | undefined;
}

export interface ContentLimits {
  /** Bytes of all contents. */
  readonly bytes: number;
  readonly entropy: boolean;
}

/** Questions that are under way at once. */
const batchSize = 500;
/** As git does: a NUL in the first bytes makes a file binary. */
const headSize = 8000;
/** A file compared with an older one: no more of that is searched. */
const mostCompared = 8 * 1024 * 1024;

/**
 * Searches every blob among `ids` as it streams by, whatever leads to it. Keeps nothing of a content but reports, and of those only
 * what has something to say: an id that is absent from the result is a small text without secrets, or no blob. Throws TooLarge.
 */
export async function searchContents(
  reader: ObjectReader,
  ids: readonly string[],
  search: SecretSearch,
  limits: ContentLimits & { readonly largeFile: number },
): Promise<ReadonlyMap<string, ContentReport>> {
  const reports = new Map<string, ContentReport>();
  let budget = limits.bytes;
  for (let at = 0; at < ids.length; at += batchSize) {
    const infos = await Promise.all(ids.slice(at, at + batchSize).map((id) => reader.info(id)));
    const blobs = infos.filter((info) => info?.type === 'blob');
    for (const blob of blobs) budget -= blob!.size;
    if (budget < 0) throw new TooLarge(`more than ${limits.bytes} bytes of content`);
    await Promise.all(
      blobs.map(async (blob) => {
        const look = new ContentLook(search, limits.entropy);
        await reader.read(blob!.id, (chunk) => look.push(chunk));
        const report = look.end();
        const remarkable = report.secrets.length > 0 || report.binary || blob!.size >= limits.largeFile;
        if (remarkable) reports.set(blob!.id, report);
      }),
    );
  }
  return reports;
}

/** The secrets of one blob, each as rule and text: whether an older version of a file held one already. */
export async function secretsIn(
  reader: ObjectReader,
  id: string,
  search: SecretSearch,
  entropy: boolean,
): Promise<ReadonlySet<string>> {
  const info = await reader.info(id);
  // What is too large to compare holds nothing: then all of the new version counts as added.
  if (info?.type !== 'blob' || info.size > mostCompared) return new Set();
  const look = new ContentLook(search, entropy);
  await reader.read(id, (chunk) => look.push(chunk));
  return new Set(look.end().secrets.map(({ rule, secret }) => `${rule}\0${secret}`));
}

class ContentLook {
  readonly #search: SecretSearch;
  readonly #entropy: boolean;
  #head = Buffer.alloc(0);
  #decided = false;
  #binary = false;
  #size = 0;
  #scanners: { readonly scanner: SecretScanner; readonly wide: boolean }[] = [];

  constructor(search: SecretSearch, entropy: boolean) {
    this.#search = search;
    this.#entropy = entropy;
  }

  push(chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#decided) {
      this.#scan(chunk);
      return;
    }
    this.#head = Buffer.concat([this.#head, chunk]);
    if (this.#head.length >= headSize) this.#decide();
  }

  end(): ContentReport {
    if (!this.#decided) this.#decide();
    const secrets = this.#scanners.flatMap(({ scanner }) => scanner.end());
    const program = this.#binary ? programKind(this.#head) : undefined;
    return { size: this.#size, secrets, binary: this.#binary, program };
  }

  #decide(): void {
    this.#decided = true;
    const head = this.#head;
    const wide = isWide(head);
    this.#binary = !wide && head.subarray(0, headSize).includes(0);
    // In binaries, names beside values mean little; formats that issuers define still do.
    this.#scanners.push({ scanner: new SecretScanner(this.#search, this.#entropy && !this.#binary), wide: false });
    if (wide) this.#scanners.push({ scanner: new SecretScanner(this.#search, this.#entropy), wide: true });
    this.#scan(head);
    this.#head = Buffer.from(head.subarray(0, 64));
  }

  #scan(chunk: Buffer): void {
    const text = chunk.toString('latin1');
    for (const { scanner, wide } of this.#scanners) scanner.push(wide ? text.replaceAll('\0', '') : text);
  }
}

/** Whether the bytes look like UTF-16: a byte order mark, or a NUL in nearly every second place. */
function isWide(head: Buffer): boolean {
  if (head.length >= 2 && ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)))
    return true;
  const sample = head.subarray(0, 512);
  const zeros = [0, 0];
  for (let i = 0; i < sample.length; i++) if (sample[i] === 0) zeros[i & 1]! += 1;
  const half = sample.length / 2;
  return half >= 4 && Math.max(...zeros) > half * 0.7 && Math.min(...zeros) < half * 0.3;
}
