/** Clients of tus and of the IETF draft in the soak of receiving. */
import { createHash } from 'node:crypto'
import type { Random } from './soak-random.ts'
import { allEnded, bytesIn, type SoakFile, SoakUpload, WrongAnswer } from './soak-receive-upload.ts'
import type { Answer, Wire } from './soak-receive-wire.ts'

const TUS = { 'Tus-Resumable': '1.0.0' }
const TUS_CONTENT = { 'Content-Type': 'application/offset+octet-stream' }

/** An upload with a URL, to which pieces are appended. */
abstract class AppendedUpload extends SoakUpload {
  /** The path of its URL, once the server has told it. */
  path: string | undefined

  protected noteLocation(location: string | undefined): void {
    if (location === undefined) throw new WrongAnswer(`${this.fileName}: no Location`)
    this.path = new URL(location, 'http://any/files').pathname
  }

  /** Whatever the server says is a promise, also where it was not asked. */
  protected noteOffset(answer: Answer): void {
    this.acknowledge(bytesIn(answer, 'upload-offset'))
    if (this.acknowledged > this.content.length) {
      throw new WrongAnswer(
        `${this.fileName}: offset ${this.acknowledged} of ${this.content.length}`,
      )
    }
  }
}

// ── tus

/** By tus, one piece after another. */
export class TusUpload extends AppendedUpload {
  readonly #isPartial: boolean

  /** @param part what it sends, as a part of another */
  constructor(random: Random, part?: SoakFile) {
    super('tus', random, part)
    this.#isPartial = part !== undefined
  }

  async run(wire: Wire): Promise<void> {
    if (this.path === undefined) await this.#create(wire)
    else await this.check(wire)
    while (this.acknowledged < this.content.length) {
      const body = this.pieceFrom(this.acknowledged)
      const checksum = createHash('sha1').update(body).digest('base64')
      const headers = {
        ...TUS,
        ...TUS_CONTENT,
        'Upload-Offset': String(this.acknowledged),
        ...(this.random() < 0.3 ? { 'Upload-Checksum': `sha1 ${checksum}` } : {}),
      }
      const answer = await wire.ask({ method: 'PATCH', path: this.path as string, headers, body })
      this.expectStatus(answer, 204)
      this.noteOffset(answer)
    }
    this.isDone = true
  }

  async check(wire: Wire): Promise<void> {
    if (this.path === undefined) return
    const answer = await wire.ask({ method: 'HEAD', path: this.path, headers: TUS })
    this.expectStatus(answer, 200)
    this.noteOffset(answer)
  }

  async #create(wire: Wire): Promise<void> {
    const headers = {
      ...TUS,
      'Upload-Length': String(this.content.length),
      ...(this.#isPartial ? { 'Upload-Concat': 'partial' } : metadataOf(this)),
    }
    const isWithContent = this.random() < 0.2 && this.content.length > 0
    const answer = await wire.ask({
      method: 'POST',
      path: '/files',
      headers: { ...headers, ...(isWithContent ? TUS_CONTENT : {}) },
      ...(isWithContent ? { body: this.pieceFrom(0) } : {}),
    })
    this.expectStatus(answer, 201)
    this.noteLocation(answer.headers.location)
    if (isWithContent) this.noteOffset(answer)
    else this.noteAcknowledgement()
  }
}

/** By tus, in two partial uploads at once that are put together at the end. */
export class TusParallelUpload extends SoakUpload {
  readonly #parts: readonly TusUpload[]

  constructor(random: Random) {
    super('tus-parallel', random)
    const middle = Math.floor(random() * this.content.length)
    this.#parts = [this.content.subarray(0, middle), this.content.subarray(middle)].map(
      (content) => new TusUpload(random, { content, fileName: this.fileName }),
    )
    for (const part of this.#parts) part.onAcknowledged = () => this.noteAcknowledgement()
  }

  async run(wire: Wire): Promise<void> {
    await allEnded(this.#parts.map((part) => part.run(wire)))
    const paths = this.#parts.map(({ path }) => path).join(' ')
    const headers = { ...TUS, 'Upload-Concat': `final;${paths}`, ...metadataOf(this) }
    const answer = await wire.ask({ method: 'POST', path: '/files', headers })
    this.expectStatus(answer, 201)
    this.noteAcknowledgement()
    this.isDone = true
  }

  async check(wire: Wire): Promise<void> {
    await allEnded(this.#parts.map((part) => part.check(wire)))
  }
}

function metadataOf({ fileName }: SoakFile): Record<string, string> {
  return { 'Upload-Metadata': `filename ${Buffer.from(fileName).toString('base64')}` }
}

// ── The IETF draft

const INTEROP = { 'Upload-Draft-Interop-Version': '8' }

/** By the draft: begun with content, told to be complete with the last piece or after it. */
export class IetfUpload extends AppendedUpload {
  constructor(random: Random) {
    super('ietf', random)
  }

  async run(wire: Wire): Promise<void> {
    if (this.path === undefined) await this.#create(wire)
    else await this.check(wire)
    while (!this.isDone) {
      const headers = {
        ...INTEROP,
        'Content-Type': 'application/partial-upload',
        'Upload-Offset': String(this.acknowledged),
      }
      await this.#send(wire, { method: 'PATCH', path: this.path as string, headers })
    }
  }

  async check(wire: Wire): Promise<void> {
    if (this.path === undefined) return
    const answer = await wire.ask({ method: 'HEAD', path: this.path, headers: INTEROP })
    this.expectStatus(answer, 204)
    this.noteOffset(answer)
    if (answer.headers['upload-complete'] === '?1') this.isDone = true
  }

  async #create(wire: Wire): Promise<void> {
    const headers = {
      ...INTEROP,
      'Upload-Length': String(this.content.length),
      'Content-Disposition': `attachment; filename="${this.fileName}"`,
    }
    // Without its URL, all of an earlier attempt is lost to the client.
    this.acknowledged = 0
    const answer = await this.#send(wire, { method: 'POST', path: '/files', headers })
    this.noteLocation(answer.headers.location)
  }

  async #send(
    wire: Wire,
    question: { readonly method: string; readonly path: string; readonly headers: object },
  ): Promise<Answer> {
    const offset = this.acknowledged
    const body = this.pieceFrom(offset)
    // The end is told with the last bytes, or without any.
    const isFinal = offset + body.length === this.content.length && this.random() < 0.7
    const isLast = isFinal || body.length === 0
    const answer = await wire.ask({
      method: question.method,
      path: question.path,
      headers: { ...question.headers, 'Upload-Complete': isLast ? '?1' : '?0' },
      body,
      onInformation: (headers) => {
        if (headers['location'] !== undefined) this.noteLocation(headers['location'])
        const told = headers['upload-offset']
        if (told !== undefined) this.acknowledge(Number(told))
      },
    })
    this.expectStatus(answer, 201, 204)
    this.noteOffset(answer)
    const isComplete = answer.headers['upload-complete'] === '?1'
    if (isComplete !== isLast) {
      throw new WrongAnswer(`${this.fileName}: Upload-Complete is ${String(isComplete)}`)
    }
    this.isDone = isComplete
    return answer
  }
}
