import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectFormat } from '../push.ts';

/**
 * Makes a bare repository without asking git: no template, no hooks folder, no attributes. `objects` of `alternate` can be read
 * through it. Making it where it exists rewrites its configuration and changes nothing else.
 */
export async function makeBareRepository(path: string, format: ObjectFormat, alternate?: string): Promise<void> {
  for (const folder of ['objects/pack', 'objects/info', 'refs']) {
    await mkdir(join(path, folder), { recursive: true, mode: 0o700 });
  }
  await writeFile(join(path, 'HEAD'), 'ref: refs/none\n', { mode: 0o600 });
  await writeFile(join(path, 'config'), configuration(format), { mode: 0o600 });
  if (alternate !== undefined) {
    if (/[\n"#]/.test(alternate)) throw new TypeError('the path of a mirror cannot hold quotes, # or line feeds');
    await writeFile(join(path, 'objects/info/alternates'), `${join(alternate, 'objects')}\n`, { mode: 0o600 });
  }
}

/** Every key that could make git run something or reach out is closed; memory and threads are bounded (git-config(1)). */
function configuration(format: ObjectFormat): string {
  const extension = format === 'sha256' ? '[extensions]\n\tobjectFormat = sha256\n' : '';
  return `[core]
	repositoryFormatVersion = ${format === 'sha256' ? 1 : 0}
	bare = true
	hooksPath = /dev/null
	attributesFile = /dev/null
	excludesFile = /dev/null
	fsmonitor = false
	pager = cat
	editor = /bin/false
	sshCommand = /bin/false
	gitProxy = /bin/false
	useReplaceRefs = false
	commitGraph = false
	logAllRefUpdates = false
	quotePath = true
	symlinks = false
	protectHFS = true
	protectNTFS = true
	bigFileThreshold = 16m
	packedGitWindowSize = 32m
	packedGitLimit = 256m
	deltaBaseCacheLimit = 64m
${extension}[protocol]
	allow = never
[transfer]
	fsckObjects = true
	unpackLimit = 1
[safe]
	bareRepository = explicit
[pack]
	threads = 1
	windowMemory = 64m
	deltaCacheSize = 32m
	writeReverseIndex = false
[index]
	threads = 1
[gc]
	auto = 0
[maintenance]
	auto = false
[credential]
	helper =
[submodule]
	recurse = false
[fetch]
	recurseSubmodules = false
[diff]
	renames = false
	renameLimit = 200
	noPrefix = false
	algorithm = myers
[log]
	showSignature = false
[gpg]
	program = /bin/false
[gpg "x509"]
	program = /bin/false
[gpg "ssh"]
	program = /bin/false
`;
}
