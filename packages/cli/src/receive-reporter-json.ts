/** One JSON value a line, for programs; the fields are documented in docs/receive.md. */
import { join } from 'node:path'
import type { UploadEvent, UploadStatus } from 'ferry/receive'
import { isInner, receivedBytesOf } from './receive-book.ts'
import type { ReceiveFailure } from './receive-failure.ts'
import type { ReceiveReporter } from './receive-reporter.ts'
import { addressesOf, type ReceiveSite } from './receive-words.ts'
import type { Output } from './reporter.ts'
import { jsonLine } from './terminal-text.ts'

const PROGRESS_MS = 1000

/** Writes events as they come; of progress, once a second how far each upload is that moved. */
export class JsonReceiveReporter implements ReceiveReporter {
  readonly #stdout: Output
  readonly #folder: string
  readonly #moved = new Map<string, UploadStatus>()
  readonly #timer: NodeJS.Timeout

  /** @param folder that it receives into */
  constructor(stdout: Output, folder: string) {
    this.#stdout = stdout
    this.#folder = folder
    this.#timer = setInterval(() => this.#tellProgress(), PROGRESS_MS)
    this.#timer.unref()
  }

  begin(site: ReceiveSite): void {
    const { url, folder, keyFile, problems, unfinished } = site
    this.#write('listening', {
      url,
      addresses: addressesOf(site),
      folder,
      keyFile: keyFile?.path,
      problems: problems.map(({ type, name }) => ({ type, name })),
      unfinished: unfinished.map((upload) => fieldsOf(upload)),
    })
  }

  event({ type, upload }: UploadEvent): void {
    if (isInner(upload)) return
    if (type === 'progress') {
      this.#moved.set(upload.id, upload)
      return
    }
    this.#moved.delete(upload.id)
    const path = type === 'completed' ? { path: join(this.#folder, upload.name) } : {}
    this.#write(type, { ...fieldsOf(upload), ...path })
  }

  failed({ code, exitCode, message }: Partial<ReceiveFailure>): void {
    this.#write('failed', { code, exitCode, message })
  }

  note(sentence: string): void {
    this.#write('note', { message: sentence })
  }

  stop(): void {
    this.#write('stopping', {})
  }

  end(unfinished: readonly UploadStatus[]): void {
    this.#tellProgress()
    this.#write('stopped', { unfinished: unfinished.map((upload) => fieldsOf(upload)) })
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #tellProgress(): void {
    for (const upload of this.#moved.values()) this.#write('progress', fieldsOf(upload))
    this.#moved.clear()
  }

  #write(event: string, fields: object): void {
    this.#stdout.write(jsonLine({ event, at: Date.now(), ...fields }))
  }
}

function fieldsOf(upload: UploadStatus): object {
  const { id, name, door, owner, offset, length, metadata, finish, createdAt, expiresAt } = upload
  return {
    ...{ id, name, door, owner, offset, length, receivedBytes: receivedBytesOf(upload) },
    ...(finish === 'as-part' ? { isPart: true } : {}),
    ...{ metadata, createdAt, expiresAt },
  }
}
