/** Ferry, undici and node:http behind one face: send a request, tell in words what came of it. */
import { Agent as HttpAgent, type IncomingMessage, request as nodeRequest } from 'node:http'
import { ConnectionPool, HttpRequest } from 'ferry/transport'
import { Agent, request as undiciRequest } from 'undici'

/** A request that tests send. */
export interface PlainRequest {
  readonly method: string
  readonly url: string
  readonly content?: string | undefined
}

/** A client that keeps connections. Whoever creates it disposes of it. */
export interface HttpClientUnderTest extends AsyncDisposable {
  readonly name: string
  /**
   * Sends a request and tells the outcome: `200 "content"`, with trailers if any; `200, then CODE`
   * when the content failed; CODE when there was no head; `waits` when nothing came of it.
   */
  send(request: PlainRequest): Promise<string>
}

type Read = (signal: AbortSignal) => Promise<{
  readonly status: number
  /** Content and trailers. */
  rest(): Promise<readonly [content: string, trailers: Readonly<Record<string, unknown>>]>
}>

// Everything is on the loopback and answered at once: who has nothing by now waits for ever.
export const PATIENCE_MS = 400
/** Ferry's outcome is expected, never to wait, and may come late on a busy machine. */
const FERRY_PATIENCE_MS = 30_000

/** Ferry's pool. */
export function createFerryClient(): HttpClientUnderTest {
  const pool = new ConnectionPool()
  return {
    name: 'ferry',
    send: ({ method, url, content }) =>
      describeOutcome(async (signal) => {
        const request = new HttpRequest(method, url, { content })
        const { status, body } = await pool.request(request, { signal })
        return {
          status,
          rest: async () => {
            const bytes = await body.bytes()
            return [bytes.toString('latin1'), Object.fromEntries(body.trailers)]
          },
        }
      }, FERRY_PATIENCE_MS),
    [Symbol.asyncDispose]: () => pool.close(),
  }
}

/** undici.request with an agent of its own. */
export function createUndiciClient(): HttpClientUnderTest {
  const dispatcher = new Agent({ connections: 1 })
  return {
    name: 'undici',
    send: ({ method, url, content = null }) =>
      describeOutcome(async (signal) => {
        const options = { dispatcher, method, body: content, signal }
        const { statusCode, body, trailers } = await undiciRequest(url, options)
        return {
          status: statusCode,
          rest: async () => {
            const bytes = Buffer.from(await body.arrayBuffer())
            return [bytes.toString('latin1'), trailers]
          },
        }
      }),
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  }
}

/** node:http with an agent that keeps connections. */
export function createNodeClient(): HttpClientUnderTest {
  const agent = new HttpAgent({ keepAlive: true, maxSockets: 1 })
  return {
    name: 'node:http',
    send: (request) => describeOutcome((signal) => readByNode(agent, request, signal)),
    [Symbol.asyncDispose]: () => {
      agent.destroy()
      return Promise.resolve()
    },
  }
}

function readByNode(
  agent: HttpAgent,
  { method, url, content }: PlainRequest,
  signal: AbortSignal,
): ReturnType<Read> {
  return new Promise((resolve, reject) => {
    const headers = content === undefined ? {} : { 'Content-Length': content.length }
    const sent = nodeRequest(url, { method, agent, signal, headers })
    sent.once('response', (response) => {
      resolve({ status: response.statusCode ?? 0, rest: () => restOf(response) })
    })
    // Not once: what comes after the first is of no interest, but must not be thrown.
    sent.on('error', reject)
    sent.end(content)
  })
}

async function restOf(
  response: IncomingMessage,
): Promise<readonly [string, Readonly<Record<string, unknown>>]> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return [Buffer.concat(chunks).toString('latin1'), response.trailers]
}

async function describeOutcome(read: Read, patienceMs = PATIENCE_MS): Promise<string> {
  const signal = AbortSignal.timeout(patienceMs)
  let status: number | undefined
  try {
    // A client may be deaf to the signal; then it is left behind.
    const response = await Promise.race([read(signal), aborted(signal)])
    status = response.status
    const [content, trailers] = await Promise.race([response.rest(), aborted(signal)])
    const shown = Object.keys(trailers).length === 0 ? '' : ` ${JSON.stringify(trailers)}`
    return `${status} ${JSON.stringify(content)}${shown}`
  } catch (error) {
    const what = signal.aborted ? 'waits' : codeOf(error as Error)
    return status === undefined ? what : `${status}, then ${what}`
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
