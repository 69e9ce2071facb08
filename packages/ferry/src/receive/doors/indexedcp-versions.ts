/**
 * Keeps the versions of one core: finds the one that a chunk belongs to, makes new ones, and finishes
 * those to which nothing came for a while, since their clients never say that they are done.
 */
import type { Clock } from '../../clock.ts'
import type { UploadCore } from '../upload-core.ts'
import type { UploadStatus } from '../upload-options.ts'
import {
  type ChunkSender,
  chooseVersion,
  hasName,
  lengthOfChunk,
  startOfChunk,
  type Version,
} from './indexedcp-version.ts'
import { readHeld, type HeldContent } from './compare-content.ts'

/** As uploads are told to have come by. */
export const DOOR_NAME = 'indexedcp'

const CLIENT_NAME = 'indexedcpName'
const AHEAD_OF = 'indexedcpAheadOf'
const AHEAD_INDEX = 'indexedcpIndex'

export interface VersionOptions {
  readonly clock: Clock
  /** Without chunks for so long, a version is finished. */
  readonly finishAfterMs: number
  /** Of more, those without chunks for longest are finished. */
  readonly maxOpen: number
}

/** All versions of one core that are not finished. */
export class Versions {
  readonly #core: UploadCore
  readonly #options: VersionOptions
  /** Those of one owner's file, oldest first. */
  readonly #byFile = new Map<string, Version[]>()
  readonly #byChannel = new WeakMap<object, Map<string, Version>>()
  #cancel: (() => void) | undefined

  /** Takes up what an earlier process has left. */
  constructor(core: UploadCore, options: VersionOptions) {
    this.#core = core
    this.#options = options
    this.#load()
    this.#plan()
  }

  /** The version that a chunk belongs to; undefined where it begins a new one. */
  find(sender: ChunkSender): Version | 'ambiguous' | undefined {
    const file = fileKey(sender)
    const versions = this.#byFile.get(file) ?? []
    const bound = this.#byChannel.get(sender.channel)?.get(file)
    if (bound !== undefined && versions.includes(bound)) return bound
    return chooseVersion(versions, sender, this.#options.clock.now())
  }

  /** The newest one that a status query by this name means. */
  findByName(owner: string | undefined, name: string): Version | undefined {
    const found = [...this.#all()].filter(
      (version) => version.owner === owner && hasName(version, name) && this.isOpen(version),
    )
    const newest = found.at(-1)
    if (newest !== undefined) this.#forgetLost(newest)
    return newest
  }

  /** Notes that a chunk of a version came, so that the next one of this channel finds it. */
  touch(version: Version, { channel, peer }: ChunkSender): void {
    version.activeAt = this.#options.clock.now()
    version.peer = peer
    const bound = this.#byChannel.get(channel) ?? new Map<string, Version>()
    this.#byChannel.set(channel, bound)
    bound.set(fileKey(version), version)
  }

  /**
   * Makes a new version, which can be found at once.
   * @param after one that has the same chunks before that of the sender
   */
  add(sender: ChunkSender, storedName: string, after?: Version): Version {
    const { owner, clientName, peer } = sender
    const version = emptyVersion({ owner, clientName, peer, storedName })
    version.activeAt = this.#options.clock.now()
    version.ready = this.#create(version, sender.index, after)
    version.ready.catch(() => this.forget(version))
    this.#remember(version)
    void this.#finishOldest()
    return version
  }

  /** Keeps a chunk apart until those before it have come. */
  async createAhead(version: Version, index: number): Promise<string> {
    const { id } = await this.#core.create({
      owner: version.owner,
      door: DOOR_NAME,
      finish: 'when-told',
      notes: { [AHEAD_OF]: version.id as string, [AHEAD_INDEX]: String(index) },
    })
    return id
  }

  /** Puts the chunks that waited for the last one in their place. */
  placeAhead(version: Version): Promise<void> {
    const placed = version.placing.then(() => this.#placeAhead(version))
    version.placing = placed.catch(() => {})
    return placed
  }

  /** The bytes of a chunk that is there, also when it gets its place meanwhile. */
  heldChunk(version: Version, index: number): HeldContent | undefined {
    const { ends, ahead } = version
    const isPlaced = (): boolean => index < ends.length
    const length = isPlaced() ? lengthOfChunk(ends, index) : ahead.get(index)?.length
    if (length === undefined) return undefined
    return {
      length,
      read: (offset, bytes) => {
        const id = isPlaced() ? version.id : ahead.get(index)?.id
        const start = (isPlaced() ? startOfChunk(ends, index) : 0) + offset
        return this.#core.read(id as string, { start, end: start + bytes })
      },
    }
  }

  /** Whether the core still takes bytes for it. */
  isOpen({ id }: Version): boolean {
    return id === undefined || this.#isUnfinished(id)
  }

  /** No chunk finds it any more. */
  forget(version: Version): void {
    const file = fileKey(version)
    const left = (this.#byFile.get(file) ?? []).filter((other) => other !== version)
    if (left.length === 0) this.#byFile.delete(file)
    else this.#byFile.set(file, left)
  }

  /**
   * Finishes the versions that a name means, or all of an owner; what waits for chunks before it is
   * dropped. Those that chunks are coming for go on by themselves.
   */
  async finishOf(owner: string | undefined, name?: string): Promise<void> {
    const meant = [...this.#all()].filter(
      (version) =>
        version.owner === owner &&
        version.users === 0 &&
        (name === undefined || hasName(version, name)),
    )
    for (const version of meant) {
      this.forget(version)
      for (const [index, { id }] of version.ahead) {
        version.ahead.delete(index)
        await this.#core.terminate(id)
      }
      await this.#finish(version)
    }
  }

  /** Does nothing more by itself. */
  close(): void {
    this.#cancel?.()
  }

  *#all(): Generator<Version, void> {
    for (const versions of this.#byFile.values()) yield* versions
  }

  async #create(version: Version, index: number, after: Version | undefined): Promise<void> {
    const { id } = await this.#core.create({
      name: version.storedName,
      owner: version.owner,
      door: DOOR_NAME,
      finish: 'when-told',
      metadata: { filename: version.clientName },
      notes: { [CLIENT_NAME]: version.clientName },
    })
    version.id = id
    if (after === undefined) return
    await after.ready
    for (let at = 0; at < index; at++) {
      const held = this.heldChunk(after, at)
      if (held !== undefined) await this.#copy(version, at, held)
    }
  }

  async #copy(version: Version, index: number, held: HeldContent): Promise<void> {
    const options = { contentLength: held.length, piece: true }
    if (index === version.ends.length) {
      const start = startOfChunk(version.ends, index)
      await this.#core.append(version.id as string, start, readHeld(held), options)
      version.ends.push(start + held.length)
      return
    }
    const id = await this.createAhead(version, index)
    await this.#core.append(id, 0, readHeld(held), options)
    version.ahead.set(index, { id, length: held.length })
  }

  async #placeAhead(version: Version): Promise<void> {
    this.#forgetLost(version)
    for (;;) {
      const index = version.ends.length
      const chunk = version.ahead.get(index)
      if (chunk === undefined) return
      await this.#copy(version, index, this.heldChunk(version, index) as HeldContent)
      version.ahead.delete(index)
      await this.#core.terminate(chunk.id)
    }
  }

  #isUnfinished(id: string): boolean {
    try {
      return this.#core.status(id).state === 'unfinished'
    } catch {
      return false
    }
  }

  /** Chunks that wait may have expired, like everything that is unfinished: they have to come again. */
  #forgetLost({ ahead }: Version): void {
    for (const [index, { id }] of ahead) if (!this.#isUnfinished(id)) ahead.delete(index)
  }

  #load(): void {
    const { clock } = this.#options
    const found = [...this.#core.list()].filter(
      ({ door, state }) => door === DOOR_NAME && state === 'unfinished',
    )
    const byId = new Map<string, Version>()
    for (const upload of found.toSorted((a, b) => a.createdAt - b.createdAt)) {
      const clientName = upload.notes[CLIENT_NAME]
      if (clientName === undefined) continue
      const { owner, name: storedName } = upload
      const version = emptyVersion({ owner, clientName, peer: '', storedName })
      version.id = upload.id
      version.activeAt = clock.now()
      version.ends.push(...this.#core.pieceEnds(upload.id))
      byId.set(upload.id, version)
      this.#remember(version)
    }
    for (const upload of found) this.#loadAhead(upload, byId)
  }

  #loadAhead({ id, offset, notes }: UploadStatus, byId: ReadonlyMap<string, Version>): void {
    const version = byId.get(notes[AHEAD_OF] ?? '')
    if (version === undefined) return
    // One that did not come whole was never acknowledged.
    const isWhole = this.#core.pieceEnds(id).length > 0
    const index = Number(notes[AHEAD_INDEX])
    if (isWhole && index >= version.ends.length) version.ahead.set(index, { id, length: offset })
    else this.#core.terminate(id).catch(() => {})
  }

  #remember(version: Version): void {
    const file = fileKey(version)
    const versions = this.#byFile.get(file)
    if (versions === undefined) this.#byFile.set(file, [version])
    else versions.push(version)
  }

  #plan(): void {
    const { clock, finishAfterMs } = this.#options
    const run = (): void => {
      this.#plan()
      void this.#finishIdle()
    }
    this.#cancel = clock.after(finishAfterMs / 4, run, { background: true })
  }

  async #finishIdle(): Promise<void> {
    const { clock, finishAfterMs } = this.#options
    for (const version of [...this.#all()]) if (!this.isOpen(version)) this.forget(version)
    const idle = [...this.#all()].filter(
      (version) => isQuiet(version) && clock.now() - version.activeAt >= finishAfterMs,
    )
    for (const version of idle) await this.#finish(version)
  }

  async #finishOldest(): Promise<void> {
    const open = [...this.#all()]
    const quiet = open.filter(isQuiet).toSorted((a, b) => a.activeAt - b.activeAt)
    const surplus = quiet.slice(0, Math.max(0, open.length - this.#options.maxOpen))
    for (const version of surplus) await this.#finish(version)
  }

  /** What cannot be finished now expires in the core. */
  async #finish(version: Version): Promise<void> {
    if (!isQuiet(version)) return
    this.forget(version)
    const id = version.id as string
    try {
      if (version.ends.length === 0) await this.#core.terminate(id)
      else {
        await this.#core.setLength(id, version.ends.at(-1) as number)
        await this.#core.complete(id)
      }
    } catch {
      // Its file is there already; only the record of it stays for longer.
    }
  }
}

/** Whether nobody works on it and no chunk waits for another. */
function isQuiet({ id, users, ahead }: Version): boolean {
  return id !== undefined && users === 0 && ahead.size === 0
}

function emptyVersion(of: Pick<Version, 'owner' | 'clientName' | 'peer' | 'storedName'>): Version {
  return {
    ...of,
    id: undefined,
    ready: Promise.resolve(),
    isExposed: false,
    ends: [],
    ahead: new Map(),
    receiving: new Map(),
    activeAt: 0,
    users: 0,
    placing: Promise.resolve(),
  }
}

function fileKey({ owner, clientName }: Pick<Version, 'owner' | 'clientName'>): string {
  return JSON.stringify([owner ?? null, clientName])
}
