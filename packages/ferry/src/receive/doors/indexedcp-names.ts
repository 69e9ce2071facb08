/** The names under which IndexedCP clients find their files at the server. Pure. */
import { toFinalName } from '../final-name.ts'
import { TitledRefusal } from './indexedcp-refusal.ts'

/**
 * What becomes of the path that a client gives: `ignore` takes its last segment, `sanitize` refuses
 * anything but a plain name, `allow-paths` makes the folders and refuses to leave the server's.
 */
export type PathMode = 'ignore' | 'sanitize' | 'allow-paths'

/** @throws {TitledRefusal} 400, in the words of the protocol */
export function storedNameOf(mode: PathMode, clientName: string): string {
  const segments = clientName.split(/[/\\]/)
  const isRooted = segments[0] === '' || /^[a-z]:/i.test(clientName)
  const isLeaving = isRooted || segments.includes('..')
  if (mode === 'sanitize' && (segments.length > 1 || isLeaving)) {
    throw invalidName('Filename must not contain path separators or traversal sequences')
  }
  if (mode === 'allow-paths' && isLeaving) {
    throw invalidName('Filename must not contain traversal sequences or absolute paths')
  }
  const named = segments.filter((segment) => segment !== '')
  const name = toFinalName(mode === 'allow-paths' ? named.join('/') : (named.at(-1) ?? ''))
  if (name === undefined) throw invalidName('Filename must have a name in it')
  return name
}

/** What the Python client asks for: the name without its folders. */
export function lastSegmentOf(clientName: string): string {
  return clientName.split(/[/\\]/).findLast((segment) => segment !== '') ?? clientName
}

function invalidName(message: string): TitledRefusal {
  return new TitledRefusal(400, 'Invalid filename', message)
}
