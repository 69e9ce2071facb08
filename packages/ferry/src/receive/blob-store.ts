/**
 * Where the bytes of uploads are kept: the port. A disk and a memory implement it; one suite of tests
 * (blob-store.contract.test.ts) says what both promise. Knows nothing of offsets that count: which bytes
 * are believed is the journal's business.
 */

import type { DigestAlgorithm } from './digest.ts'

/** Keeps the bytes of each upload under its id, and gives finished ones their names. */
export interface BlobStore {
  /**
   * Makes an empty blob whose existence survives a power cut, and opens it; whoever makes it closes it.
   * @throws when there is one of that id
   */
  create(id: string): Promise<UploadBlob>
  /** Whoever opens a blob closes it. */
  open(id: string): Promise<UploadBlob>
  /** Does nothing yet. Whoever opens a digest closes it. */
  openDigest(id: string, algorithm: DigestAlgorithm): BlobDigest
  /** Makes an empty blob hold what another one holds, sharing the room where that can be had. */
  copy(from: string, to: string): Promise<void>
  /** None of that id is no error. */
  remove(id: string): Promise<void>
  /** What an earlier process has left; removes what it had only begun to make. */
  recover(): Promise<BlobList>
  /**
   * Gives the blob its final name, for good, and keeps it no longer under its id. When a crash came
   * between the two, calling again brings it to the end. The blob has to be synced before.
   * @param name segments with `/` between them, each a safe file name
   * @throws {TransferError} target-exists, unless `overwrite`
   * @throws {UploadError} name-refused, when a folder of the name is a link or a file
   */
  publish(id: string, name: string, options: { readonly overwrite: boolean }): Promise<void>
  /**
   * Lets the blob, which goes on being written, be seen under its final name too; `publish` with
   * that name then only ends its being kept under its id.
   * @returns false where that cannot be had, and nothing has happened
   * @throws as `publish` does
   */
  expose(id: string, name: string, options: { readonly overwrite: boolean }): Promise<boolean>
  /** Whether the name is taken, by whatever. */
  isTaken(name: string): Promise<boolean>
  /** Whether the blob, still kept under its id, has that final name already. */
  isPublishedAs(id: string, name: string): Promise<boolean>
  /** Room for further bytes; undefined when it is unknown. */
  freeBytes(): Promise<number | undefined>
}

/** What a store holds. */
export interface BlobList {
  /** Id → length in bytes. */
  readonly lengths: ReadonlyMap<string, number>
  /** Names of files that nobody here has made. */
  readonly strangers: readonly string[]
}

/** The digest of a blob, computed while other work goes on. */
export interface BlobDigest {
  /** Bytes [0, end) will not change any more; they may be hashed before the others come. */
  advance(end: number): void
  /** Of bytes [0, size), hexadecimal. Rejects when there are fewer, and after `close`. */
  finish(size: number): Promise<string>
  close(): Promise<void>
}

/** The open bytes of one upload; places that were never written read as zeros. */
export interface UploadBlob {
  /** Writes all chunks, one behind the other, from `offset` on; keeps none of them afterwards. */
  write(chunks: readonly Uint8Array[], offset: number): Promise<void>
  /** What is there; fewer bytes where the blob ends before. */
  read(offset: number, length: number): Promise<Buffer>
  /** Waits until what was written survives a power cut. */
  sync(): Promise<void>
  truncate(length: number): Promise<void>
  close(): Promise<void>
}
