/**
 * One piece of an upload by each protocol, for tests that ask of all of them the same. A step gives the
 * status of the answer, whatever it is.
 */

/** How one protocol uploads. */
export interface Steps {
  /** Begins an upload of that name and length; gives the status, and what the next steps need. */
  readonly begin: (
    url: string,
    name: string,
    length: number,
  ) => Promise<{ status: number; place: string }>
  /** Sends what comes from `offset` on, without saying how much it is; `isLast` when it is the end. */
  readonly send: (url: string, place: string, piece: Piece) => Promise<number>
  /** How far the server is; undefined where it knows nothing of the upload. */
  readonly offset: (url: string, place: string) => Promise<number | undefined>
}

/** Content of an upload from some place on. */
export interface Piece {
  readonly content: Buffer
  readonly offset: number
  readonly isLast: boolean
}

const TUS = { 'Tus-Resumable': '1.0.0' }
const PARTIAL = { 'Content-Type': 'application/partial-upload' }

const tus: Steps = {
  async begin(url, name, length) {
    const headers = {
      ...TUS,
      'Upload-Length': String(length),
      'Upload-Metadata': `filename ${btoa(name)}`,
    }
    return placed(url, await fetch(`${url}/files`, { method: 'POST', headers }))
  },
  async send(url, place, { content, offset }) {
    const type = 'application/offset+octet-stream'
    const headers = { ...TUS, 'Content-Type': type, 'Upload-Offset': String(offset) }
    return statusOf(await fetch(url + place, { method: 'PATCH', headers, ...stream(content) }))
  },
  offset: (url, place) => headOffset(url + place, TUS),
}

const ietf: Steps = {
  async begin(url, name, length) {
    const headers = {
      'Upload-Complete': '?0',
      'Upload-Length': String(length),
      'Content-Disposition': `attachment; filename="${name}"`,
    }
    return placed(url, await fetch(`${url}/files`, { method: 'POST', headers }))
  },
  async send(url, place, { content, offset, isLast }) {
    const complete = { 'Upload-Complete': isLast ? '?1' : '?0' }
    const headers = { ...PARTIAL, ...complete, 'Upload-Offset': String(offset) }
    return statusOf(await fetch(url + place, { method: 'PATCH', headers, ...stream(content) }))
  },
  offset: (url, place) => headOffset(url + place, {}),
}

/** With an id: only so has a piece an offset. */
const indexedcp: Steps = {
  // Nothing is told before the first chunk, which may be empty.
  async begin(url, name, length) {
    const place = JSON.stringify({ name, length })
    return { status: await sendChunk(url, place, 0, Buffer.alloc(0)), place }
  },
  send: (url, place, { content, offset }) => sendChunk(url, place, offset, content),
  async offset(url, place) {
    const { name } = JSON.parse(place) as { name: string }
    const answer = await fetch(`${url}/upload/status?uploadId=${name}`)
    if (answer.status === 404) return undefined
    return ((await answer.json()) as { offset: number }).offset
  },
}

/** By protocol. */
export const STEPS: Readonly<Record<'tus' | 'ietf' | 'indexedcp', Steps>> = { tus, ietf, indexedcp }

async function sendChunk(
  url: string,
  place: string,
  offset: number,
  content: Buffer,
): Promise<number> {
  const { name, length } = JSON.parse(place) as { name: string; length: number }
  const headers = {
    'X-Chunk-Index': '0',
    'X-File-Name': name,
    'X-Upload-Id': name,
    'X-Chunk-Offset': String(offset),
    'X-Total-Size': String(length),
  }
  return statusOf(await fetch(`${url}/upload`, { method: 'POST', headers, ...stream(content) }))
}

async function headOffset(
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<number | undefined> {
  const answer = await fetch(url, { method: 'HEAD', headers })
  return answer.ok ? Number(answer.headers.get('Upload-Offset')) : undefined
}

async function placed(url: string, answer: Response): Promise<{ status: number; place: string }> {
  const location = answer.headers.get('Location') ?? ''
  return { status: await statusOf(answer), place: new URL(location, `${url}/files`).pathname }
}

async function statusOf(answer: Response): Promise<number> {
  await answer.arrayBuffer()
  return answer.status
}

/** In pieces, and without a length. */
function stream(content: Buffer): { body: ReadableStream<Uint8Array>; duplex: 'half' } {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  const write = async (): Promise<void> => {
    for (let at = 0; at < content.length; at += 65_536) {
      await writer.write(content.subarray(at, at + 65_536))
    }
    await writer.close()
  }
  // Of a request that is refused, the rest is not wanted.
  write().catch(() => {})
  return { body: readable, duplex: 'half' }
}
