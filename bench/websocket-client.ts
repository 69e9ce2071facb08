/**
 * The process that exchanges messages with an echo: `websocket-client.ts TASK`, the task as JSON.
 * Prints a `WorkReport`. A message goes out for each that comes back, so that as many are always
 * under way.
 */
import { connectWebSocket } from 'ferry/transport'
import { WebSocket } from 'ws'
import { measureWork, reportAndExit } from './work-report.ts'

/** What the process is told. */
export interface WebSocketTask {
  readonly client: WebSocketClientName
  readonly url: string
  readonly messageBytes: number
  readonly inFlight: number
  readonly messages: number
  readonly warmUpMessages: number
}

/** Sends so many messages; resolves when all have come back. */
type Exchange = (messages: number) => Promise<void>

const CLIENTS = {
  'ferry connectWebSocket': useFerry,
  ws: useWs,
} as const satisfies Record<string, (url: string) => Promise<Exchange>>

export type WebSocketClientName = keyof typeof CLIENTS

const COMPARED_EVERY = 1000

const task = JSON.parse(process.argv[2] ?? '') as WebSocketTask
const message = Buffer.from('message '.repeat(task.messageBytes)).subarray(0, task.messageBytes)
let echoes = 0
const exchange = await CLIENTS[task.client](task.url)
await exchange(task.warmUpMessages)
reportAndExit(await measureWork(() => exchange(task.messages)))

async function useFerry(url: string): Promise<Exchange> {
  const socket = await connectWebSocket(url)
  const send = (): void => void socket.send(message)
  return async (messages) => {
    const startMore = countDown(messages, send)
    for (let left = messages; left > 0; left--) {
      expectEcho(await socket.receive())
      startMore()
    }
  }
}

async function useWs(url: string): Promise<Exchange> {
  const socket = new WebSocket(url, { perMessageDeflate: false })
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  const send = (): void => socket.send(message)
  return async (messages) => {
    const startMore = countDown(messages, send)
    let left = messages
    await new Promise<void>((resolve) => {
      const onMessage = (echo: Buffer): void => {
        expectEcho(echo)
        startMore()
        if (--left > 0) return
        socket.off('message', onMessage)
        resolve()
      }
      socket.on('message', onMessage)
    })
  }
}

/** Sends the first messages. @returns what sends another one, until all are sent */
function countDown(messages: number, send: () => void): () => void {
  let left = messages
  const sendNext = (): void => {
    if (left-- > 0) send()
  }
  for (let started = 0; started < task.inFlight; started++) sendNext()
  return sendNext
}

/** Looks at the length of each, and at the content of a few: comparing must not be what is measured. */
function expectEcho(echo: unknown): void {
  const isWhole = echo instanceof Uint8Array && echo.length === message.length
  if (isWhole && (echoes++ % COMPARED_EVERY !== 0 || message.equals(echo))) return
  throw new Error(`Expected the message of ${message.length} bytes back`)
}
