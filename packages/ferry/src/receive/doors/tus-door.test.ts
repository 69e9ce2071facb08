import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { DoorServer, type TestRequest, type TestResponse } from '../../testing/door-server.ts'
import { MemoryUploads } from '../../testing/upload-fixture.ts'
import type { UploadCore } from '../upload-core.ts'
import type { UploadCoreOptions } from '../upload-options.ts'
import type { DoorOptions } from './door.ts'
import { createTusDoor } from './tus-door.ts'

const VERSION = { 'Tus-Resumable': '1.0.0' }
const CONTENT = { ...VERSION, 'Content-Type': 'application/offset+octet-stream' }

/** A door on a core in memory. */
class TusServer extends MemoryUploads implements AsyncDisposable {
  core!: UploadCore
  server!: DoorServer

  static async open(
    options: Partial<UploadCoreOptions> = {},
    door: DoorOptions = {},
  ): Promise<TusServer> {
    const tus = new TusServer()
    tus.core = await MemoryUploads.prototype.open.call(tus, options)
    tus.server = await DoorServer.open(tus.core, createTusDoor(door))
    return tus
  }

  /** Sends with the version, unless the fields say otherwise. */
  ask(method: string, url: string, further: Partial<TestRequest> = {}): Promise<TestResponse> {
    return this.server.send({ method, url, fields: VERSION, ...further })
  }

  /** Creates an upload and gives its URL. */
  async create(fields: Readonly<Record<string, string>>): Promise<string> {
    const { status, fields: answered } = await this.ask('POST', '/files', {
      fields: { ...VERSION, ...fields },
    })
    expect(status).toBe(201)
    return new URL(answered.location as string, `${this.server.url}/files`).href
  }

  patch(
    url: string,
    offset: number,
    body: TestRequest['body'] | undefined,
    fields: Readonly<Record<string, string>> = {},
    trailers?: Readonly<Record<string, string>>,
  ): Promise<TestResponse> {
    return this.server.send({
      method: 'PATCH',
      url,
      fields: { ...CONTENT, 'Upload-Offset': String(offset), ...fields },
      ...(body === undefined ? {} : { body }),
      ...(trailers === undefined ? {} : { trailers }),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
    await this.core.close()
    expect(this.server.failures).toEqual([])
  }
}
