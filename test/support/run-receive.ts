/** Runs `ferry receive` on a free port, for one test, and curl against it. */
import { FerryProcess, type JsonEvent } from './run-ferry.ts'
import { curl } from './upload-curl.ts'

/** A server that listens. Whoever starts it disposes of it. */
export class ReceiveProcess implements AsyncDisposable {
  readonly process: FerryProcess
  /** Below which the protocols have their paths. */
  readonly url: string

  private constructor(process: FerryProcess, url: string) {
    this.process = process
    this.url = url
  }

  /** Starts it with `--json`, which tells where it listens, in a folder into which it receives. */
  static async start(cwd: string, args: readonly string[] = []): Promise<ReceiveProcess> {
    const process = new FerryProcess(['receive', '--json', '--port', '0', ...args], { cwd })
    try {
      const { url } = await process.event(({ event }) => event === 'listening')
      return new ReceiveProcess(process, url as string)
    } catch (error) {
      await process[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Starts it where one has listened. */
  static again(cwd: string, { url }: ReceiveProcess): Promise<ReceiveProcess> {
    return ReceiveProcess.start(cwd, ['--port', new URL(url).port])
  }

  event(type: string, name?: string): Promise<JsonEvent> {
    return this.process.event(
      (event) => event.event === type && (name === undefined || event['name'] === name),
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]()
  }
}

/** The head of the last response; its status is 0 when there was none. */
export interface Reply {
  readonly status: number
  readonly fields: Headers
}

/** Runs curl; `-T -` and `--data-binary @-` send `content`. */
export async function send(
  url: string,
  args: readonly string[],
  { fields = [], content }: { readonly fields?: readonly string[]; readonly content?: Buffer } = {},
): Promise<Reply> {
  const request = { args, fields: [...fields, 'Expect:'] }
  const { heads } = await curl(url, content === undefined ? request : { ...request, content })
  return heads.at(-1) ?? { status: 0, fields: new Headers() }
}

const TUS = 'Tus-Resumable: 1.0.0'
const TUS_PIECE = [TUS, 'Content-Type: application/offset+octet-stream']

/** Creates an upload by tus; the reply is to tell its URL. */
export function createByTus(
  url: string,
  { name, length, fields = [] }: { name: string; length: number; fields?: readonly string[] },
): Promise<Reply> {
  const metadata = `Upload-Metadata: filename ${Buffer.from(name).toString('base64')}`
  const all = [TUS, `Upload-Length: ${length}`, metadata, ...fields]
  return send(`${url}/files`, ['-X', 'POST'], { fields: all })
}

/** The URL that a reply to a request for `/files` tells. */
export function locationOf({ fields }: Reply, url: string): string {
  return new URL(fields.get('location') as string, `${url}/files`).href
}

export function appendByTus(upload: string, offset: number, content: Buffer): Promise<Reply> {
  const fields = [...TUS_PIECE, `Upload-Offset: ${offset}`]
  return send(upload, ['-X', 'PATCH', '--data-binary', '@-'], { fields, content })
}

/** Asks where an upload stands. */
export async function offsetOf(upload: string, fields: readonly string[] = []): Promise<number> {
  return Number((await send(upload, ['-I'], { fields })).fields.get('upload-offset'))
}

export function cancelByTus(upload: string): Promise<Reply> {
  return send(upload, ['-X', 'DELETE'], { fields: [TUS] })
}
