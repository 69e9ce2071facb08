/** Interim responses of the draft: 104 with the URL of the upload, and with how far it is. */
import type { ServerResponse } from 'node:http'
import { UPLOAD_RESUMPTION_SUPPORTED } from '../../protocol/upload/ietf-grammar.ts'
import type { UploadCore } from '../upload-core.ts'
import { http2StreamOf } from './http2-exchange.ts'

const REASON = 'Upload Resumption Supported'

/** Tells one client of one upload, until it is disposed of. */
export class Interim implements Disposable {
  readonly #response: ServerResponse
  readonly #interopVersion: number
  #unsubscribe: () => void = () => {}

  constructor(response: ServerResponse, interopVersion: number) {
    this.#response = response
    this.#interopVersion = interopVersion
  }

  /** Draft §4.2: the one that lets a client resume. */
  announce(location: string, limit: string): void {
    this.#write({ Location: location, 'Upload-Limit': limit })
  }

  /** Tells each offset from now on that the client need not send again. */
  follow(core: UploadCore, id: string): void {
    this.#unsubscribe = core.subscribe(({ type, upload }) => {
      // Draft §4.2: without Location.
      if (type === 'progress' && upload.id === id) {
        this.#write({ 'Upload-Offset': String(upload.offset) })
      }
    })
  }

  [Symbol.dispose](): void {
    this.#unsubscribe()
  }

  #write(fields: Readonly<Record<string, string>>): void {
    const response = this.#response
    if (response.headersSent || response.destroyed) return
    const all = { 'Upload-Draft-Interop-Version': String(this.#interopVersion), ...fields }
    const stream = http2StreamOf(response)
    if (stream !== undefined) {
      const isGone = stream.closed || stream.destroyed
      if (!isGone) stream.additionalHeaders({ ':status': UPLOAD_RESUMPTION_SUPPORTED, ...all })
      return
    }
    // Node has it from 24.21 and 26.2 on.
    if (typeof response.writeInformation === 'function') {
      response.writeInformation(UPLOAD_RESUMPTION_SUPPORTED, all)
      return
    }
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
    response.socket?.write(
      `HTTP/1.1 ${UPLOAD_RESUMPTION_SUPPORTED} ${REASON}\r\n${lines.join('')}\r\n`,
      'latin1',
    )
  }
}
