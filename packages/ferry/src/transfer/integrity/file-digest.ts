/**
 * Digests of a file that is being written: hashed off the event loop, and while the rest is still on
 * its way.
 *
 * Starting a thread takes some 20 ms of a processor and a few MB of memory, so it is done for files
 * that take longer than that to hash. Small ones, and all of them where threads cannot be had, are
 * hashed in blocks between other work.
 */
import { stat } from 'node:fs/promises'
import { abortable } from '../../clock.ts'
import type { Span } from '../span.ts'
import { FileHasher, type HashedFile } from './file-hasher.ts'
import { WorkerHasher } from './worker-hasher.ts'

// SHA-256 needs as long for this as a thread needs to start: about 1 GB/s and 17 ms.
const THREAD_FROM_BYTES = 16_777_216
// A message to the thread for each block written would cost more than it brings.
const ADVANCE_STEP_BYTES = 1_048_576

/** What is to be hashed. */
export interface FileDigestOptions extends HashedFile {
  /** Told how many bytes of the file have been hashed. */
  readonly onProgress?: ((bytes: number) => void) | undefined
}

/** The digests of one file; to be closed. */
export class FileDigest implements AsyncDisposable {
  readonly #file: HashedFile
  readonly #onProgress: ((bytes: number) => void) | undefined
  #small: Promise<FileHasher> | undefined
  #large: Promise<FileHasher | WorkerHasher> | undefined
  #toldEnd = 0
  #closing: Promise<void> | undefined

  /** Does nothing yet: the file may not exist, and no thread is started until it is large enough. */
  static open(options: FileDigestOptions): FileDigest {
    return new FileDigest(options)
  }

  private constructor({ path, algorithms, onProgress }: FileDigestOptions) {
    this.#file = { path, algorithms }
    this.#onProgress = onProgress
  }

  /** Tells that bytes [0, end) are in the file for good; cheap, to be called at each write. */
  advance(end: number): void {
    if (this.#closing !== undefined || end < THREAD_FROM_BYTES) return
    if (end - this.#toldEnd < ADVANCE_STEP_BYTES) return
    this.#toldEnd = end
    void this.#largeHasher().then((hasher) => hasher.advance(end))
  }

  /**
   * The digests of bytes [0, size) in hexadecimal, by algorithm; without a size, of the file up to
   * its end. An abort ends the wait; the work ends with `close` or `reset`. Can be called again, and
   * hashes everything again then.
   * @throws {TransferError} size-mismatch, when the file is shorter; disk-failed
   */
  async finish(
    size: number | undefined,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ReadonlyMap<string, string>> {
    options.signal?.throwIfAborted()
    this.#toldEnd = 0
    const work = this.#hasherFor(size ?? Number.POSITIVE_INFINITY).then((hasher) =>
      hasher.finish(size),
    )
    return abortable(work, options.signal)
  }

  /**
   * The digest of bytes [start, end) in hexadecimal, whatever was told of them. An abort ends the
   * wait.
   * @throws {TransferError} size-mismatch, when the file is shorter; disk-failed
   */
  async digestSpan(
    algorithm: string,
    span: Span,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<string> {
    options.signal?.throwIfAborted()
    const work = this.#hasherFor(span.end).then((hasher) => hasher.digestSpan(algorithm, span))
    return abortable(work, options.signal)
  }

  /** Takes back what `advance` has told: the file, or some of its bytes, will be other ones. */
  reset(): void {
    this.#toldEnd = 0
    void this.#small?.then((hasher) => hasher.reset())
    void this.#large?.then((hasher) => hasher.reset())
  }

  /** Ends the work, also when it is under way: whoever waits for it gets an error. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const small = await this.#small
    await small?.close()
    const large = await this.#large
    await large?.close()
  }

  /** Not async: calls reach the hasher in the order in which they were made. */
  #hasherFor(bytes: number): Promise<FileHasher | WorkerHasher> {
    if (this.#closing !== undefined) {
      throw new TypeError(`Cannot give a digest of ${this.#file.path}: it was closed`)
    }
    if (this.#large !== undefined || bytes >= THREAD_FROM_BYTES) return this.#largeHasher()
    return (this.#small ??= Promise.resolve(new FileHasher(this.#file, this.#onProgress)))
  }

  #largeHasher(): Promise<FileHasher | WorkerHasher> {
    this.#large ??= WorkerHasher.start(this.#file, this.#onProgress).catch(
      () => new FileHasher(this.#file, this.#onProgress),
    )
    return this.#large
  }
}

/**
 * The digest of a file's content, hexadecimal.
 * @param options `onProgress` is told how many bytes are done
 * @throws {TransferError} disk-failed, when it cannot be read
 */
export async function digestFile(
  path: string,
  algorithm: string,
  options: {
    readonly signal?: AbortSignal | undefined
    readonly onProgress?: ((bytes: number) => void) | undefined
  } = {},
): Promise<string> {
  const stats = await stat(path).catch(() => undefined)
  // Devices and the files of /proc have no size, but an end.
  const size = stats?.size === 0 ? undefined : stats?.size
  await using digest = FileDigest.open({
    path,
    algorithms: [algorithm],
    onProgress: options.onProgress,
  })
  const digests = await digest.finish(size, options)
  return digests.get(algorithm) as string
}
