/** What the receiving side tells people, in words. Pure. */
import { join } from 'node:path'
import type { DoorName, UploadEvent, UploadProblem, UploadStatus } from 'ferry/receive'
import { formatBytes, formatDuration, formatSpeed } from './format.ts'
import { type Arrival, receivedBytesOf } from './receive-book.ts'

/** A server that listens. */
export interface ReceiveSite {
  /** Below which the protocols have their paths. */
  readonly url: string
  readonly folder: string
  /** Those of this machine, where it listens on all of them; otherwise none. */
  readonly machineAddresses: readonly string[]
  readonly doors: readonly DoorName[]
  /** Undefined where everybody on this machine may upload. */
  readonly keyFile: { readonly path: string; readonly isNew: boolean } | undefined
  readonly problems: readonly UploadProblem[]
  /** What earlier runs have left. */
  readonly unfinished: readonly UploadStatus[]
}

const PROTOCOLS: Readonly<Record<DoorName, { readonly name: string; readonly path: string }>> = {
  indexedcp: { name: 'IndexedCP', path: '/upload' },
  tus: { name: 'tus', path: '/files' },
  ietf: { name: 'plain HTTP', path: '/files/' },
}
// Shorter than that, a speed says nothing.
const MIN_TOLD_MS = 100
const MAX_LISTED = 10

/** Where each protocol is. */
export function addressesOf({ url, doors }: ReceiveSite): Partial<Record<DoorName, string>> {
  return Object.fromEntries(doors.map((door) => [door, url + PROTOCOLS[door].path]))
}

/** What the user needs to know when it begins. */
export function describeSite(site: ReceiveSite): string[] {
  const { folder, doors, machineAddresses, keyFile, problems, unfinished } = site
  const addresses = addressesOf(site)
  return [
    `Receiving into ${folder}`,
    ...doors.map((door) => `  ${PROTOCOLS[door].name.padEnd(10)}  ${addresses[door]}`),
    ...(machineAddresses.length === 0
      ? []
      : [`It listens on every address of this machine: ${machineAddresses.join(', ')}`]),
    ...describeAccess(keyFile),
    ...problems.map((problem) => describeProblem(problem)),
    ...(unfinished.length === 0
      ? []
      : [`${countUploads(unfinished.length)} of before can go on: ${listNames(unfinished)}`]),
    'Ctrl-C ends it; what is unfinished then can go on at the next run',
  ]
}

/** The line about an upload that has arrived. */
export function describeArrival(upload: UploadStatus, arrival: Arrival, folder: string): string {
  const { bytes, elapsedMs } = arrival
  const size = `${join(folder, upload.name)}: ${formatBytes(bytes)}`
  const isTold = elapsedMs !== undefined && elapsedMs >= MIN_TOLD_MS
  const speed = isTold
    ? ` in ${formatDuration(elapsedMs)} (${formatSpeed((bytes * 1000) / elapsedMs)})`
    : ''
  return `${size}${speed}, ${sourceOf(upload)}`
}

/** The line about one that will not arrive; undefined for other events. */
export function describeLoss({ type, upload }: UploadEvent): string | undefined {
  const name = nameOf(upload)
  if (type === 'terminated') return `${name}: cancelled by its client at ${reachOf(upload)}`
  if (type === 'expired') return `${name}: expired at ${reachOf(upload)}, and is removed`
  return undefined
}

/** The line about one to which nothing came for a while. */
export function describePause(upload: UploadStatus): string {
  const { door, length } = upload
  const begun = `${nameOf(upload)}: nothing more came after ${reachOf(upload)}, ${sourceOf(upload)}`
  const isSilent = door === 'indexedcp' && length === undefined
  return isSilent ? `${begun}, which does not say whether that is all` : `${begun}; it can go on`
}

/** What the user needs to know when it has ended. */
export function describeEnd(
  unfinished: readonly UploadStatus[],
  { url, folder }: ReceiveSite,
): string[] {
  if (unfinished.length === 0) return ['Stopped; nothing is unfinished']
  const listed = unfinished.slice(0, MAX_LISTED)
  const hidden = unfinished.length - listed.length
  return [
    `Stopped; ${countUploads(unfinished.length)} unfinished, kept in ${join(folder, '.ferry')}:`,
    ...listed.map((upload) => `  ${nameOf(upload)}: ${reachOf(upload)}, ${sourceOf(upload)}`),
    ...(hidden === 0 ? [] : [`  and ${hidden} more`]),
    `The same command lets their clients go on, if it listens at ${url} again`,
  ]
}

/** What it is called; the parts of one have no names. */
export function nameOf({ name, finish }: UploadStatus): string {
  return finish === 'as-part' ? 'part of an upload' : name
}

/** How far one is: `1.2 GiB of 4 GiB`. */
function reachOf(upload: UploadStatus): string {
  const { length } = upload
  const received = formatBytes(receivedBytesOf(upload))
  return length === undefined ? `${received} so far` : `${received} of ${formatBytes(length)}`
}

function sourceOf({ door, owner }: UploadStatus): string {
  const protocol = PROTOCOLS[door as DoorName]?.name ?? door
  const by = protocol === undefined ? 'by nobody known' : `by ${protocol}`
  return owner === undefined ? by : `${by} from ${owner}`
}

function describeAccess(keyFile: ReceiveSite['keyFile']): string[] {
  if (keyFile === undefined) {
    return ['Anybody on this machine can upload; --key-file FILE lets in those with a key']
  }
  const { path, isNew } = keyFile
  return [
    isNew
      ? `Made the key file ${path}, with a new key behind the word "default"; only you can read it`
      : `Key file ${path}`,
    'Clients send "Authorization: Bearer KEY"; those of IndexedCP take KEY from INDEXCP_API_KEY',
  ]
}

function describeProblem({ type, name, cause }: UploadProblem): string {
  const reason = cause instanceof Error ? ` (${cause.message})` : ''
  return `Left alone: ${name}, ${WHAT_IS_WRONG[type]}${reason}`
}

const WHAT_IS_WRONG: Readonly<Record<UploadProblem['type'], string>> = {
  'unreadable-journal': 'whose journal cannot be read',
  'lost-bytes': 'which has lost bytes that it had',
  'stray-blob': 'bytes that belong to no upload',
  'stray-file': 'which is none of ours',
  unfinishable: 'which is whole but cannot get its name',
}

function listNames(uploads: readonly UploadStatus[]): string {
  const names = uploads.slice(0, MAX_LISTED).map((upload) => nameOf(upload))
  return [...names, ...(uploads.length > names.length ? ['…'] : [])].join(', ')
}

function countUploads(count: number): string {
  return count === 1 ? '1 upload' : `${count} uploads`
}
