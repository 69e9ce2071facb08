/**
 * Lets a socket read what the peer had sent before it closed on us.
 *
 * A server that refuses an upload answers, closes, and resets what still comes; node:net then destroys
 * the socket at the failed write, with the answer unread in the kernel. Here the socket lives on for
 * two turns of the event loop: what has arrived is read, then the write's error is told.
 */
import type { Socket } from 'node:net'

/** Changes how this one socket meets a failed write. */
export function readOnAfterFailedWrite(socket: Socket): void {
  const destroy = socket.destroy.bind(socket)
  let isEnding = false
  socket.destroy = (error) => {
    if (isEnding || !isFailedWrite(error)) return destroy(error)
    isEnding = true
    setImmediate(() => setImmediate(() => destroy(error)))
    return socket
  }
}

function isFailedWrite(error: NodeJS.ErrnoException | undefined): boolean {
  return error?.syscall === 'write' && (error.code === 'EPIPE' || error.code === 'ECONNRESET')
}
