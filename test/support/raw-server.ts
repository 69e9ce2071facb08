/** A server that answers each request with bytes of our choice, whatever they are. */
import type { Socket } from 'node:net'
import { LoopbackServer } from '../../packages/ferry/src/testing/loopback-server.ts'

/** What a request gets: text is sent one character a byte. */
export interface Reply {
  readonly bytes: string
  /** Closes the connection afterwards, in order. */
  readonly end?: boolean
}

const HEAD_END = '\r\n\r\n'

/**
 * Opens a server that gives the n-th request it gets, on whatever connection, the n-th reply, and
 * the last reply to all that follow. Content of a request has to come with a Content-Length.
 */
export function openRawServer(replies: readonly Reply[]): Promise<LoopbackServer> {
  let requests = 0
  return LoopbackServer.open((socket) => {
    let received = ''
    socket.setEncoding('latin1').on('data', (text: string) => {
      received += text
      for (let length = requestLength(received); length !== -1; length = requestLength(received)) {
        received = received.slice(length)
        answer(socket, replies[Math.min(requests++, replies.length - 1)] as Reply)
      }
    })
  })
}

/** Characters of the first request; -1 while it is not whole. */
function requestLength(received: string): number {
  const headEnd = received.indexOf(HEAD_END)
  if (headEnd === -1) return -1
  const content = /\r\ncontent-length: (\d+)\r\n/i.exec(received.slice(0, headEnd + 2))?.[1] ?? '0'
  const length = headEnd + HEAD_END.length + Number(content)
  return received.length < length ? -1 : length
}

function answer(socket: Socket, { bytes, end = false }: Reply): void {
  socket.write(bytes, 'latin1')
  if (end) socket.end()
}
