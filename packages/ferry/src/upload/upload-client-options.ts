/** What a client of IndexedCP may be told. */
import type { Outbox } from './outbox.ts'
import type { UploadEvent, UploadOptions, UploadProgress, UploadResult } from './upload-options.ts'

/**
 * Settings of a client, under the names of the document; durations in ms, where the document has
 * seconds.
 */
export interface UploadClientOptions extends Omit<
  UploadOptions,
  'name' | 'type' | 'saved' | 'onNote' | 'onEvent' | 'chunkBytes' | 'retryDelayMs' | 'credentials'
> {
  /** The outbox is `~/.indexcp/<dbName>.db`. @defaultValue indexcp */
  readonly dbName?: string | undefined
  /** An outbox elsewhere, which stays its owner's to close. */
  readonly outbox?: Outbox | undefined
  /**
   * Bytes of a chunk, in the outbox and on the wire. @defaultValue 1 MiB; on the wire up to 8 MiB to
   * servers that know uploads by id, and whole files by other protocols
   */
  readonly chunkSize?: number | undefined
  /** Tries after the first one that bring nothing, in a row. @defaultValue 3 */
  readonly maxRetries?: number | undefined
  /** The first wait between tries, in ms, doubled with each, and shortened by lot. @defaultValue 1000 */
  readonly initialRetryDelay?: number | undefined
  /**
   * Files that are sent at once, begun in the order of adding. Those of one name, whatever their
   * folders, go one after another all the same: old servers keep them under one name.
   * @defaultValue 1
   */
  readonly files?: number | undefined
  /** Bytes per second of all files together; can be changed while they are sent. @defaultValue no limit */
  readonly limitBytesPerSecond?: number | undefined
  /** @defaultValue what INDEXCP_API_KEY has; else it is asked for at the terminal, once it is needed */
  readonly apiKey?: string | undefined
  /** Told of what happens to each file, by the name that it was added under, and its id in the outbox. */
  readonly onEvent?: ((name: string, event: UploadEvent, id: string) => void) | undefined
  /** Told of how far a file is, at its beginning, about four times a second, and at its end. */
  readonly onProgress?: ((name: string, progress: UploadProgress, id: string) => void) | undefined
  /** Told of a file that is delivered, and gone from the outbox. */
  readonly onComplete?: ((name: string, result: UploadResult, id: string) => void) | undefined
  /** Told of a file that could not be sent; it stays in the outbox. */
  readonly onError?: ((name: string, error: unknown, id: string) => void) | undefined
}
