/**
 * Hashes a file on the thread that it is called on: from the beginning as far as the bytes are known
 * to be good, and slices of it.
 *
 * Reads through descriptors of its own, so that whoever writes the file need not know. Reading goes
 * on while a block is hashed.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { TransferError } from '../../errors.ts'
import type { Span } from '../span.ts'
import { createHasher, type Hasher } from './hasher.ts'

// Hashed in about 0.3 ms, which is what other work on the thread has to wait for.
const BLOCK_BYTES = 262_144

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
}

/** What is hashed. */
export interface HashedFile {
  readonly path: string
  /** Names that `parseChecksum` gives. */
  readonly algorithms: readonly string[]
}

/** Digests of one file. */
export class FileHasher {
  readonly #file: HashedFile
  readonly #onProgress: ((bytes: number) => void) | undefined
  /** Goes on as far as it is told. */
  #pass: Pass | undefined
  /** Those that are not closed yet. */
  readonly #passes = new Set<Pass>()
  readonly #slices = new Set<Promise<string>>()
  #isClosed = false

  constructor(file: HashedFile, onProgress?: (bytes: number) => void) {
    this.#file = file
    this.#onProgress = onProgress
  }

  /** Bytes [0, end) will not change any more: they are hashed in the background. */
  advance(end: number): void {
    if (this.#isClosed) return
    this.#pass ??= this.#begin()
    this.#pass.advance(end)
  }

  /**
   * Digests of bytes [0, size), by algorithm; without a size, of the whole file. What is told or asked
   * after that begins anew.
   */
  async finish(size: number = Number.POSITIVE_INFINITY): Promise<ReadonlyMap<string, string>> {
    if (this.#isClosed) throw abandoned(this.#file.path)
    const begun = this.#pass
    this.#pass = undefined
    const isUsable = begun !== undefined && begun.target <= size
    const pass = isUsable ? begun : this.#begin()
    try {
      if (begun !== undefined && !isUsable) await this.#end(begun)
      return await pass.finish(size)
    } finally {
      await this.#end(pass)
    }
  }

  /** The digest of some of the bytes; by itself, whatever else is being hashed. */
  async digestSpan(algorithm: string, span: Span): Promise<string> {
    const slice = this.#digestSlice(algorithm, span)
    this.#slices.add(slice)
    try {
      return await slice
    } finally {
      this.#slices.delete(slice)
    }
  }

  /** Forgets what was hashed; a `finish` that is under way rejects. */
  async reset(): Promise<void> {
    this.#pass = undefined
    await Promise.all([...this.#passes].map((pass) => this.#end(pass)))
  }

  /** Ends all work at the next block; what is under way, or asked for after this, rejects. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.reset()
    await Promise.allSettled(this.#slices)
  }

  #begin(): Pass {
    const pass = new Pass(this.#file, this.#onProgress)
    this.#passes.add(pass)
    return pass
  }

  async #end(pass: Pass): Promise<void> {
    await pass.close()
    this.#passes.delete(pass)
  }

  async #digestSlice(algorithm: string, span: Span): Promise<string> {
    const { path } = this.#file
    if (this.#isClosed) throw abandoned(path)
    const hasher = await createHasher(algorithm)
    await using file = await openFile(path)
    const blocks = newBlocks(span.end - span.start)
    for await (const block of readBlocks({ path, file, blocks }, span)) {
      if (this.#isClosed) throw abandoned(path)
      hasher.update(block)
    }
    return hasher.digest('hex')
  }
}

/** One way through the file, from its beginning. */
class Pass {
  readonly #path: string
  readonly #algorithms: readonly string[]
  readonly #onProgress: ((bytes: number) => void) | undefined
  #file: FileHandle | undefined
  #blocks: Blocks | undefined
  #hashers: readonly Hasher[] = []
  #position = 0
  /** Where it has been told to go, at the least. */
  #target = 0
  #closing: Promise<void> | undefined
  /** The steps that it has been told to make, one after another. */
  #steps: Promise<void>

  constructor(file: HashedFile, onProgress: ((bytes: number) => void) | undefined) {
    this.#path = file.path
    this.#algorithms = file.algorithms
    this.#onProgress = onProgress
    this.#steps = this.#open()
    // Whoever waits for a step gets its error.
    this.#steps.catch(() => {})
  }

  get target(): number {
    return this.#target
  }

  advance(end: number): void {
    if (end <= this.#target) return
    this.#target = end
    this.#steps = this.#steps.then(() => this.#hashOn())
    this.#steps.catch(() => {})
  }

  async finish(size: number): Promise<ReadonlyMap<string, string>> {
    this.advance(size)
    await this.#steps
    if (this.#closing !== undefined) throw abandoned(this.#path)
    const digests = this.#hashers.map((hasher) => hasher.digest('hex'))
    return new Map(this.#algorithms.map((name, index) => [name, digests[index] as string]))
  }

  /** Ends at the next block. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#steps.catch(() => {})
    // Closing what was only read can lose nothing.
    await this.#file?.close().catch(() => {})
  }

  async #open(): Promise<void> {
    this.#hashers = await Promise.all(this.#algorithms.map((name) => createHasher(name)))
    this.#file = await openFile(this.#path)
  }

  /** Goes as far as it has been told until now: the steps after it may have nothing left to do. */
  async #hashOn(): Promise<void> {
    if (this.#closing !== undefined) return
    const span = { start: this.#position, end: this.#target }
    const blocks = (this.#blocks ??= newBlocks())
    const reader = { path: this.#path, file: this.#file as FileHandle, blocks }
    for await (const block of readBlocks(reader, span)) {
      if (this.#closing !== undefined) return
      for (const hasher of this.#hashers) hasher.update(block)
      this.#position += block.length
      this.#onProgress?.(this.#position)
    }
  }
}

function abandoned(path: string): TypeError {
  return new TypeError(`Cannot give a digest of ${path}: it was abandoned`)
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    throw readError(path, cause)
  }
}

/** Memory for reading: one block is hashed while the other fills. */
type Blocks = readonly [Buffer, Buffer]

function newBlocks(maxBytes: number = BLOCK_BYTES): Blocks {
  const bytes = Math.min(BLOCK_BYTES, maxBytes)
  return [Buffer.allocUnsafeSlow(bytes), Buffer.allocUnsafeSlow(bytes)]
}

interface Reader {
  readonly path: string
  readonly file: FileHandle
  readonly blocks: Blocks
}

/**
 * The bytes of a span, block by block; each is good until the next one is asked for. An endless span
 * goes to the end of the file.
 */
async function* readBlocks(reader: Reader, span: Span): AsyncGenerator<Buffer> {
  let offset = span.start
  let turn: 0 | 1 = 0
  let reading = readBlock(reader, turn, { start: offset, end: span.end })
  try {
    while (offset < span.end) {
      const block = await reading
      if (block.length === 0 && span.end === Number.POSITIVE_INFINITY) return
      if (block.length === 0) throw tooShort(reader.path, span.end, offset)
      offset += block.length
      turn = turn === 0 ? 1 : 0
      reading = readBlock(reader, turn, { start: offset, end: span.end })
      yield block
    }
  } finally {
    // Nobody may be left to take its error.
    await reading.catch(() => {})
  }
}

/** The first bytes of the span, as many as there are and have room. */
async function readBlock(reader: Reader, turn: 0 | 1, span: Span): Promise<Buffer> {
  const block = reader.blocks[turn]
  const length = Math.min(block.length, span.end - span.start)
  if (length === 0) return block.subarray(0, 0)
  try {
    const { bytesRead } = await reader.file.read(block, 0, length, span.start)
    return block.subarray(0, bytesRead)
  } catch (cause) {
    throw readError(reader.path, cause)
  }
}

function tooShort(path: string, expectedBytes: number, actualBytes: number): TransferError {
  return new TransferError(
    'size-mismatch',
    `Cannot check ${path}: expected ${expectedBytes} bytes, but it ends after ${actualBytes}`,
    { detail: { expectedBytes, actualBytes } },
  )
}

function readError(path: string, cause: unknown): TransferError {
  const { code, message } = cause as NodeJS.ErrnoException
  return new TransferError(
    'disk-failed',
    `Cannot read ${path}: ${REASONS[code ?? ''] ?? message}`,
    {
      cause,
    },
  )
}
