/** Requests of the clients in the soak of receiving, over connections that may break at any time. */
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { between, type Random } from './soak-random.ts'

/** What a client asks. */
export interface Question {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** Told of interim responses. */
  readonly onInformation?: (headers: IncomingHttpHeaders) => void
}

/** What it is answered. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** The connection broke, or the client broke it: nobody knows what the server has made of it. */
export class LostConnection extends Error {}

/** A client did not get an answer in a time in which every server has one. */
export class NoAnswer extends Error {}

const PATIENCE_MS = 60_000
/** How often a client itself goes away while it sends. */
const BREAKING = 0.03
const MAX_PARTS = 4
/** How often a client is overtaken by what it has broken off itself, at most. */
const MAX_OVERTAKEN = 20

/** Connections of one client to one life of the server; whoever makes it disposes of it. */
export class Wire implements Disposable {
  readonly #port: number
  readonly #random: Random
  readonly #agent = new Agent({ keepAlive: true })
  #hasBroken = false
  #overtaken = 0

  constructor(port: number, random: Random) {
    this.#port = port
    this.#random = random
  }

  /** @throws {LostConnection | NoAnswer} */
  async ask(question: Question): Promise<Answer> {
    const { method, path, headers = {}, body, onInformation } = question
    const sent = request({
      host: '127.0.0.1',
      port: this.#port,
      agent: this.#agent,
      method,
      path,
      headers: { ...headers, ...(body === undefined ? {} : { 'Content-Length': body.length }) },
    })
    const answered = Promise.withResolvers<Answer>()
    sent.on('information', (information) => {
      try {
        if (information.statusCode === 104) onInformation?.(information.headers)
      } catch (error) {
        answered.reject(error as Error)
      }
    })
    sent.on('response', (response) => {
      const { statusCode: status = 0, headers: fields } = response
      void readText(response).then(
        (text) => answered.resolve({ status, headers: fields, text }),
        (error: unknown) => answered.reject(new LostConnection(String(error))),
      )
    })
    sent.on('error', (error) => answered.reject(new LostConnection(error.message)))
    const patience = setTimeout(() => {
      answered.reject(new NoAnswer(`${method} ${path} was not answered in ${PATIENCE_MS} ms`))
      sent.destroy()
    }, PATIENCE_MS)
    // An answer may come, or the connection break, while it is still being sent.
    const failed = answered.promise.then(
      () => {},
      () => {},
    )
    await Promise.race([this.#send(sent, body), failed])
    try {
      const answer = await answered.promise
      if (this.#isOvertaken(answer)) throw new LostConnection('an older request came later')
      return answer
    } finally {
      clearTimeout(patience)
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  /**
   * Whether the answer may be due to a request that the client itself broke off before: there is no
   * order between connections, and the server may see it only now.
   */
  #isOvertaken({ status }: Answer): boolean {
    if (!this.#hasBroken || (status !== 409 && status !== 403)) return false
    this.#overtaken++
    return this.#overtaken <= MAX_OVERTAKEN
  }

  /** In a few parts with pauses, so that a kill meets it in between. */
  async #send(sent: ReturnType<typeof request>, body: Uint8Array | undefined): Promise<void> {
    if (body !== undefined && body.length > 0) {
      const isBreaking = this.#random() < BREAKING
      const parts = Math.ceil(between(this.#random, 0, MAX_PARTS))
      const partBytes = Math.ceil(body.length / parts)
      for (let at = 0; at < body.length; at += partBytes) {
        if (sent.destroyed) return
        sent.write(body.subarray(at, at + partBytes))
        await wait(between(this.#random, 0, 4))
        if (isBreaking) {
          this.#hasBroken = true
          sent.destroy(new Error('the client went away'))
          return
        }
      }
    }
    sent.end()
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
