/**
 * How much room unfinished uploads take, in all and by owner, held against what is allowed. Pure:
 * numbers in, an error or none out.
 */
import { UploadError } from '../errors.ts'

/** What unfinished uploads may take together; undefined for no limit. */
export interface UsageLimits {
  readonly maxUploads: number
  readonly maxUploadsPerOwner: number | undefined
  readonly maxBytesPerOwner: number | undefined
}

/** The bytes of one upload. */
export interface UploadBytes {
  /** That count for its owner. */
  readonly bytes: number
  /** Those of them that take room on the disk already. */
  readonly storedBytes: number
}

interface Account {
  uploads: number
  bytes: number
}

/** The account of all unfinished uploads. */
export class Usage {
  readonly #limits: UsageLimits
  readonly #owners = new Map<string | undefined, Account>()
  #uploads = 0
  #expectedBytes = 0

  constructor(limits: UsageLimits) {
    this.#limits = limits
  }

  /** Bytes that are counted and not stored yet. */
  get expectedBytes(): number {
    return this.#expectedBytes
  }

  /** Counts one more upload. @throws {UploadError} quota-exceeded */
  open(owner: string | undefined): void {
    const account = this.#accountOf(owner)
    this.#check('uploads', this.#uploads + 1, this.#limits.maxUploads)
    this.#check('uploads', account.uploads + 1, this.#limits.maxUploadsPerOwner)
    this.reopen(owner, { bytes: 0, storedBytes: 0 })
  }

  /** Counts one that was there before, with its bytes. */
  reopen(owner: string | undefined, { bytes, storedBytes }: UploadBytes): void {
    const account = this.#accountOf(owner)
    this.#owners.set(owner, account)
    account.uploads++
    account.bytes += bytes
    this.#uploads++
    this.#expectedBytes += bytes - storedBytes
  }

  /** Counts more bytes. @throws {UploadError} quota-exceeded, and then nothing is counted */
  take(owner: string | undefined, bytes: number): void {
    const account = this.#accountOf(owner)
    this.#check('bytes', account.bytes + bytes, this.#limits.maxBytesPerOwner)
    account.bytes += bytes
    this.#expectedBytes += bytes
  }

  /** So many bytes that were counted take their room on the disk now; fewer than none were removed. */
  store(bytes: number): void {
    this.#expectedBytes -= bytes
  }

  /** An upload with so many bytes is finished or gone. */
  close(owner: string | undefined, { bytes, storedBytes }: UploadBytes): void {
    const account = this.#accountOf(owner)
    account.bytes -= bytes
    account.uploads--
    this.#uploads--
    this.#expectedBytes -= bytes - storedBytes
    if (account.uploads === 0) this.#owners.delete(owner)
  }

  #accountOf(owner: string | undefined): Account {
    return this.#owners.get(owner) ?? { uploads: 0, bytes: 0 }
  }

  #check(limit: 'uploads' | 'bytes', wanted: number, allowed: number | undefined): void {
    if (allowed === undefined || wanted <= allowed) return
    throw new UploadError(
      'quota-exceeded',
      `Cannot take more: ${wanted} ${limit} in unfinished uploads would be beyond ${allowed}`,
      { detail: { limit, allowed, wanted } },
    )
  }
}
