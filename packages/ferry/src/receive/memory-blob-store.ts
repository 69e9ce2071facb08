/** A blob store in memory: for tests, and for uploads that are only passed on. */
import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { TransferError } from '../errors.ts'
import type { BlobDigest, BlobList, BlobStore, UploadBlob } from './blob-store.ts'
import type { DigestAlgorithm } from './digest.ts'

// Hashed in about 0.3 ms, which is what other work has to wait for.
const HASH_BYTES = 262_144

/** Keeps bytes as long as it lives. */
export class MemoryBlobStore implements BlobStore {
  readonly #blobs = new Map<string, MemoryBlob>()
  readonly #published = new Map<string, MemoryBlob>()

  create(id: string): Promise<UploadBlob> {
    if (this.#blobs.has(id)) return Promise.reject(new Error(`There is a blob ${id} already`))
    this.#blobs.set(id, new MemoryBlob())
    return this.open(id)
  }

  open(id: string): Promise<UploadBlob> {
    const blob = this.#blobs.get(id)
    return blob === undefined
      ? Promise.reject(new TransferError('not-writable', `Cannot open blob ${id}: there is none`))
      : Promise.resolve(blob)
  }

  /** In blocks between other work, once all bytes are there. */
  openDigest(id: string, algorithm: DigestAlgorithm): BlobDigest {
    let isClosed = false
    return {
      advance() {},
      finish: async (size) => {
        if (isClosed) throw new TypeError(`Cannot give a digest of blob ${id}: it was closed`)
        const blob = await this.open(id)
        const hash = createHash(algorithm)
        for (let offset = 0; offset < size; offset += HASH_BYTES) {
          const bytes = await blob.read(offset, Math.min(HASH_BYTES, size - offset))
          if (isClosed || bytes.length < Math.min(HASH_BYTES, size - offset)) {
            throw new TransferError('disk-failed', `Cannot read blob ${id} at ${offset}`)
          }
          hash.update(bytes)
          await setImmediate()
        }
        return hash.digest('hex')
      },
      close() {
        isClosed = true
        return Promise.resolve()
      },
    }
  }

  async copy(from: string, to: string): Promise<void> {
    const blob = await this.open(to)
    await blob.write([this.#blobs.get(from)?.content ?? Buffer.alloc(0)], 0)
  }

  remove(id: string): Promise<void> {
    this.#blobs.delete(id)
    return Promise.resolve()
  }

  recover(): Promise<BlobList> {
    const lengths = new Map([...this.#blobs].map(([id, { length }]) => [id, length]))
    return Promise.resolve({ lengths, strangers: [] })
  }

  publish(id: string, name: string, { overwrite }: { overwrite: boolean }): Promise<void> {
    const blob = this.#blobs.get(id)
    const held = this.#published.get(name)
    if (blob === undefined || (!overwrite && held !== undefined && held !== blob)) {
      const code = blob === undefined ? 'not-writable' : 'target-exists'
      return Promise.reject(new TransferError(code, `Cannot give blob ${id} its name ${name}`))
    }
    this.#published.set(name, blob)
    this.#blobs.delete(id)
    return Promise.resolve()
  }

  expose(id: string, name: string, { overwrite }: { overwrite: boolean }): Promise<boolean> {
    const blob = this.#blobs.get(id)
    if (blob === undefined || (!overwrite && this.#published.has(name))) {
      const code = blob === undefined ? 'not-writable' : 'target-exists'
      return Promise.reject(new TransferError(code, `Cannot give blob ${id} its name ${name}`))
    }
    this.#published.set(name, blob)
    return Promise.resolve(true)
  }

  isTaken(name: string): Promise<boolean> {
    return Promise.resolve(this.#published.has(name))
  }

  isPublishedAs(id: string, name: string): Promise<boolean> {
    const blob = this.#blobs.get(id)
    return Promise.resolve(blob !== undefined && this.#published.get(name) === blob)
  }

  freeBytes(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  /** The content of a finished file; undefined when there is none of that name. */
  content(name: string): Buffer | undefined {
    return this.#published.get(name)?.content
  }
}

class MemoryBlob implements UploadBlob {
  #bytes = Buffer.alloc(0)
  length = 0

  get content(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.length))
  }

  write(chunks: readonly Uint8Array[], offset: number): Promise<void> {
    const bytes = Buffer.concat(chunks)
    this.#reserve(offset + bytes.length)
    bytes.copy(this.#bytes, offset)
    this.length = Math.max(this.length, offset + bytes.length)
    return Promise.resolve()
  }

  read(offset: number, length: number): Promise<Buffer> {
    const end = Math.min(this.length, offset + length)
    return Promise.resolve(Buffer.from(this.#bytes.subarray(Math.min(offset, end), end)))
  }

  sync(): Promise<void> {
    return Promise.resolve()
  }

  truncate(length: number): Promise<void> {
    this.#reserve(length)
    this.#bytes.fill(0, Math.min(length, this.length))
    this.length = length
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** Doubles, so that many appends copy little. */
  #reserve(length: number): void {
    if (length <= this.#bytes.length) return
    const larger = Buffer.alloc(Math.max(length, this.#bytes.length * 2))
    this.#bytes.copy(larger)
    this.#bytes = larger
  }
}
