/** A core in memory behind doors, with everything that a test looks at. */
import type { Door } from '../receive/doors/door.ts'
import type { UploadCore } from '../receive/upload-core.ts'
import type { UploadCoreOptions } from '../receive/upload-options.ts'
import { DoorServer, type TestRequest, type TestResponse } from './door-server.ts'
import { MemoryUploads } from './upload-fixture.ts'

/** Whoever opens it closes it; that fails when a door has rejected. */
export class DoorSite implements AsyncDisposable {
  readonly uploads: MemoryUploads
  readonly core: UploadCore
  readonly server: DoorServer

  private constructor(uploads: MemoryUploads, core: UploadCore, server: DoorServer) {
    this.uploads = uploads
    this.core = core
    this.server = server
  }

  static async open(
    doors: readonly [Door, ...Door[]],
    options: Partial<UploadCoreOptions> = {},
  ): Promise<DoorSite> {
    const uploads = new MemoryUploads()
    const core = await uploads.open(options)
    return new DoorSite(uploads, core, await DoorServer.open(core, ...doors))
  }

  /** The content of a finished file. */
  content(name: string): string | undefined {
    return this.uploads.blobs.content(name)?.toString()
  }

  /** Whether bytes of some upload are coming in. */
  get isReceiving(): boolean {
    return [...this.core.list()].some((upload) => upload.isReceiving)
  }

  send(request: TestRequest): Promise<TestResponse> {
    return this.server.send(request)
  }

  /** The URL that a Location field names, in an answer to a request on `/files`. */
  resolve({ fields }: TestResponse): string {
    return new URL(fields.location as string, `${this.server.url}/files`).href
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
    await this.core.close()
    const [failure] = this.server.failures
    if (failure !== undefined) throw failure as Error
  }
}
