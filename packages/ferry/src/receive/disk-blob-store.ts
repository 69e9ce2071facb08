/**
 * Blobs as files `<id>.data` in a folder of their own, published by renaming or linking into another
 * folder of the same file system. Follows no symbolic link below either.
 */
import { constants, fdatasync, writev } from 'node:fs'
import {
  copyFile,
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  statfs,
  unlink,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isFerryError, UploadError } from '../errors.ts'
import { NO_LINKS, publishFile, syncFolder } from '../transfer/files.ts'
import { FileDigest } from '../transfer/integrity/file-digest.ts'
import type { BlobDigest, BlobList, BlobStore, UploadBlob } from './blob-store.ts'
import type { DigestAlgorithm } from './digest.ts'
import { storeError } from './store-error.ts'

// Not through a link: in a shared folder somebody else could have put it there. (Windows has no such
// flag.)
const NO_FOLLOW = (constants.O_NOFOLLOW as number | undefined) ?? 0
const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW
/** How to open a file of ours that is there. */
export const WRITE_IN_PLACE: number = constants.O_RDWR | NO_FOLLOW

const OURS = /^([0-9a-f]{32})\.(?:(data)|journal)$/
const HALF_MADE = /^[0-9a-f]{32}\.journal\.new$/

/** Keeps blobs in one folder, which nobody else writes into, and publishes into another. */
export class DiskBlobStore implements BlobStore {
  readonly #folder: string
  readonly #target: string
  readonly #makeLink: typeof link

  constructor(options: {
    readonly folder: string
    readonly target: string
    /** Makes a hard link; fails on file systems that have none. @defaultValue the system's */
    readonly makeLink?: typeof link
  }) {
    this.#folder = options.folder
    this.#target = options.target
    this.#makeLink = options.makeLink ?? link
  }

  async create(id: string): Promise<UploadBlob> {
    const path = this.#pathOf(id)
    const handle = await open(path, CREATE).catch((cause: unknown) => {
      throw storeError(`Cannot create ${path}`, cause)
    })
    await syncFolder(this.#folder)
    return new DiskBlob(path, handle)
  }

  async open(id: string): Promise<UploadBlob> {
    const path = this.#pathOf(id)
    try {
      return new DiskBlob(path, await open(path, WRITE_IN_PLACE))
    } catch (cause) {
      throw storeError(`Cannot write ${path}`, cause)
    }
  }

  /** Off the event loop, on a thread of its own for a large file. */
  openDigest(id: string, algorithm: DigestAlgorithm): BlobDigest {
    const digest = FileDigest.open({ path: this.#pathOf(id), algorithms: [algorithm] })
    return {
      advance: (end) => digest.advance(end),
      finish: async (size) => (await digest.finish(size)).get(algorithm) as string,
      close: () => digest.close(),
    }
  }

  /** By the system: file systems that can let both share the bytes until one changes. */
  async copy(from: string, to: string): Promise<void> {
    const [source, path] = [this.#pathOf(from), this.#pathOf(to)]
    try {
      for (const ours of [source, path]) {
        if (!(await lstat(ours)).isFile()) throw new Error(`${ours} is no file`)
      }
      await copyFile(source, path, constants.COPYFILE_FICLONE)
    } catch (cause) {
      throw storeError(`Cannot write ${path}`, cause)
    }
  }

  async remove(id: string): Promise<void> {
    const path = this.#pathOf(id)
    await unlink(path).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOENT') throw storeError(`Cannot remove ${path}`, cause)
    })
  }

  /** Half-made journals are removed: nothing was promised of them. */
  async recover(): Promise<BlobList> {
    const lengths = new Map<string, number>()
    const strangers: string[] = []
    for (const name of (await readdir(this.#folder)).toSorted()) {
      const [, id, isData] = OURS.exec(name) ?? []
      if (HALF_MADE.test(name)) await unlink(join(this.#folder, name)).catch(() => {})
      else if (id === undefined) strangers.push(name)
      else if (isData !== undefined) {
        const stats = await lstat(join(this.#folder, name))
        if (stats.isFile()) lengths.set(id, stats.size)
        else strangers.push(name)
      }
    }
    return { lengths, strangers }
  }

  async publish(id: string, name: string, { overwrite }: { overwrite: boolean }): Promise<void> {
    const path = this.#pathOf(id)
    const target = this.#targetOf(name)
    await this.#makeFolders(name)
    try {
      await publishFile(path, target, { overwrite, makeLink: this.#makeLink })
    } catch (error) {
      const isTaken = isFerryError(error, 'target-exists')
      if (!isTaken || !(await this.isPublishedAs(id, name))) throw error
      await unlink(path)
      await syncFolder(dirname(target))
    }
  }

  /** By a second hard link. */
  async expose(id: string, name: string, { overwrite }: { overwrite: boolean }): Promise<boolean> {
    const target = this.#targetOf(name)
    await this.#makeFolders(name)
    try {
      if (overwrite) await unlinkIfThere(target)
      await this.#makeLink(this.#pathOf(id), target)
    } catch (cause) {
      if (NO_LINKS.has((cause as NodeJS.ErrnoException).code)) return false
      throw storeError(`Cannot give ${this.#pathOf(id)} its name ${target}`, cause)
    }
    await syncFolder(dirname(target))
    return true
  }

  async isTaken(name: string): Promise<boolean> {
    return (await lstat(this.#targetOf(name)).catch(() => undefined)) !== undefined
  }

  async isPublishedAs(id: string, name: string): Promise<boolean> {
    const [blob, file] = await Promise.all(
      [this.#pathOf(id), this.#targetOf(name)].map((path) =>
        lstat(path, { bigint: true }).catch(() => undefined),
      ),
    )
    return blob !== undefined && blob.dev === file?.dev && blob.ino === file.ino
  }

  async freeBytes(): Promise<number | undefined> {
    const stats = await statfs(this.#folder).catch(() => undefined)
    // Some file systems do not tell.
    if (stats === undefined || stats.blocks === 0) return undefined
    return stats.bavail * stats.bsize
  }

  /** Makes the folders of a name, and refuses to go through anything else. */
  async #makeFolders(name: string): Promise<void> {
    let folder = this.#target
    for (const segment of name.split('/').slice(0, -1)) {
      const parent = folder
      folder = join(parent, segment)
      await mkdir(folder).then(
        () => syncFolder(parent),
        (cause: NodeJS.ErrnoException) => {
          if (cause.code !== 'EEXIST') throw storeError(`Cannot create ${folder}`, cause)
        },
      )
      if ((await lstat(folder)).isDirectory()) continue
      throw new UploadError(
        'name-refused',
        `Cannot give an upload the name ${JSON.stringify(name)}: ${folder} is no folder`,
      )
    }
  }

  #pathOf(id: string): string {
    return join(this.#folder, `${id}.data`)
  }

  #targetOf(name: string): string {
    return join(this.#target, ...name.split('/'))
  }
}

class DiskBlob implements UploadBlob {
  readonly #path: string
  readonly #handle: FileHandle

  constructor(path: string, handle: FileHandle) {
    this.#path = path
    this.#handle = handle
  }

  /** By callbacks, which cost half of what the promises of a FileHandle do. */
  write(chunks: readonly Uint8Array[], offset: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const { fd } = this.#handle
      const writeFrom = (rest: readonly Uint8Array[], at: number, bytes: number): void => {
        writev(fd, rest, at, (cause, written) => {
          if (cause !== null) {
            reject(storeError(`Cannot write ${this.#path}`, cause))
            return
          }
          if (written === bytes) resolve()
          else writeFrom(dropBytes(rest, written), at + written, bytes - written)
        })
      }
      const bytes = chunks.reduce((sum, { length }) => sum + length, 0)
      if (bytes === 0) resolve()
      else writeFrom(chunks, offset, bytes)
    })
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length)
    let done = 0
    while (done < length) {
      const { bytesRead } = await this.#handle
        .read(bytes, done, length - done, offset + done)
        .catch((cause: unknown) => {
          throw storeError(`Cannot read ${this.#path}`, cause)
        })
      if (bytesRead === 0) break
      done += bytesRead
    }
    return bytes.subarray(0, done)
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#handle.fd, (cause) => {
        if (cause === null) resolve()
        else reject(storeError(`Cannot sync ${this.#path}`, cause))
      })
    })
  }

  async truncate(length: number): Promise<void> {
    await this.#handle.truncate(length).catch((cause: unknown) => {
      throw storeError(`Cannot truncate ${this.#path}`, cause)
    })
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw cause
  })
}

/** What is left of chunks when the first bytes are gone. */
function dropBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count
  return chunks.flatMap((chunk) => {
    const dropped = Math.min(left, chunk.length)
    left -= dropped
    return dropped === chunk.length ? [] : [chunk.subarray(dropped)]
  })
}
