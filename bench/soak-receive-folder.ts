/** What a folder holds after a kill, or at the end, and whether that may be so. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UploadFolder, type UploadStatus } from 'ferry/receive'
import type { SoakProblem } from './soak-receive-life.ts'
import { contentByName, type SoakUpload } from './soak-receive-upload.ts'

const OWN = '.ferry'

/**
 * Looks at every file that has its final name.
 * @param verified names that were right before; those that are found right are added
 */
export async function checkFiles(
  folder: string,
  uploads: readonly SoakUpload[],
  verified: Set<string>,
): Promise<SoakProblem[]> {
  const problems: SoakProblem[] = []
  const names = await readdir(folder)
  for (const name of names) {
    if (name === OWN || verified.has(name)) continue
    const found = contentByName(name)
    const content = await readFile(join(folder, name))
    if (found === undefined) problems.push({ type: 'wrong file', text: `${name} is nobody's` })
    else if (found.kind === 'indexedcp') {
      // Such a file shows the beginning that is there so far.
      if (!found.content.subarray(0, content.length).equals(content)) {
        problems.push({ type: 'wrong file', text: `${name}: ${describe(content, found.content)}` })
      }
    } else if (content.equals(found.content)) verified.add(name)
    else {
      const type = content.length < found.content.length ? 'half-finished' : 'wrong file'
      problems.push({ type, text: `${name}: ${describe(content, found.content)}` })
    }
  }
  for (const upload of uploads) problems.push(...(await checkUpload(folder, names, upload)))
  return problems
}

/** What a client was told has to be there. */
async function checkUpload(
  folder: string,
  names: readonly string[],
  { kind, fileName, isDone, acknowledged }: SoakUpload,
): Promise<SoakProblem[]> {
  if (kind === 'indexedcp') {
    // Of an empty file, such a client sends nothing.
    if (acknowledged === 0) return []
    const found = await readFile(join(folder, fileName)).catch(() => Buffer.alloc(0))
    if (found.length >= acknowledged) return []
    const text = `${fileName}: ${acknowledged} were acknowledged, ${found.length} are there`
    return [{ type: 'lost', text }]
  }
  if (!isDone || names.includes(fileName)) return []
  return [{ type: 'lost', text: `${fileName} was finished, and is not there` }]
}

/**
 * Opens a folder as the next server would, when all uploads are done, and looks at what is unfinished:
 * parts, uploads without an end, and those that their clients never heard of.
 */
export async function checkLeftovers(folder: string): Promise<SoakProblem[]> {
  await using opened = await UploadFolder.open(folder)
  const { core } = opened
  const problems: SoakProblem[] = core.problems.map(({ type, name }) => ({
    type: 'start',
    text: `${type} ${name}`,
  }))
  for (const upload of core.list()) {
    if (upload.state === 'completed') continue
    const { filename = '' } = upload.metadata
    const found = contentByName(filename)
    // A part does not know whose it is; a chunk that waits neither.
    if (found === undefined) continue
    for (const span of upload.spans) {
      const bytes = await core.read(upload.id, span)
      if (bytes.equals(found.content.subarray(span.start, span.end))) continue
      problems.push({ type: 'wrong file', text: `unfinished ${describeUpload(upload)}` })
    }
  }
  return problems
}

function describeUpload({ id, metadata, spans }: UploadStatus): string {
  return `${id} (${metadata['filename']}): ${JSON.stringify(spans)}`
}

/** Where two contents part. */
function describe(content: Buffer, expected: Buffer): string {
  let at = 0
  while (at < content.length && content[at] === expected[at]) at++
  return `${content.length} of ${expected.length} bytes, right up to ${at}`
}
