/** A folder that takes uploads by tus and by the IETF's draft, on a server of its own. */
import {
  createIetfDoor,
  type IetfDoorOptions,
} from '../../packages/ferry/src/receive/doors/ietf-door.ts'
import { createTusDoor } from '../../packages/ferry/src/receive/doors/tus-door.ts'
import { UploadFolder } from '../../packages/ferry/src/receive/upload-folder.ts'
import { DoorServer } from '../../packages/ferry/src/testing/door-server.ts'
import { TempDir } from './temp-dir.ts'

// Short, so that what comes counts soon.
const CHECKPOINT_MS = 20

/** Whoever opens it closes it; that fails when a door has. */
export class UploadSite implements AsyncDisposable {
  readonly dir: TempDir
  readonly folder: UploadFolder
  readonly server: DoorServer

  private constructor(dir: TempDir, folder: UploadFolder, server: DoorServer) {
    this.dir = dir
    this.folder = folder
    this.server = server
  }

  static async open(ietf: IetfDoorOptions = {}): Promise<UploadSite> {
    const dir = await TempDir.create()
    const folder = await UploadFolder.open(dir.path, { checkpointMs: CHECKPOINT_MS })
    const doors = [createTusDoor(), createIetfDoor(ietf)] as const
    return new UploadSite(dir, folder, await DoorServer.open(folder.core, ...doors))
  }

  /** Where uploads are created. */
  get endpoint(): string {
    return `${this.server.url}/files`
  }

  /** Breaks every connection when bytes of an upload have been kept, once; resolves then. */
  breakOnce(): Promise<void> {
    return new Promise((resolve) => {
      const end = this.folder.core.subscribe(({ type }) => {
        if (type !== 'progress') return
        end()
        for (const socket of this.server.sockets) socket.destroy()
        resolve()
      })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
    await this.folder.close()
    await this.dir[Symbol.asyncDispose]()
    const [failure] = this.server.failures
    if (failure !== undefined) throw failure as Error
  }
}
