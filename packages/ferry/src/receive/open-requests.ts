/**
 * The requests that a server has not answered yet, and how they come to an end when it closes: what
 * has an answer, or gets one soon, is left the time for it; nobody waits for a client that goes on
 * sending.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { systemClock, wait } from '../clock.ts'

interface OpenRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** When nothing more was sent to its client. */
  endedAt: number | undefined
}

// For answers whose making cannot be hurried, like that of a generator of names.
const GRACE_MS = 4000
// What has come meanwhile has to be read: a system that closes over unread bytes takes the answer back.
const LINGER_MS = 250
const LOOK_MS = 10

/** All open requests of one server. */
export class OpenRequests {
  readonly #open = new Set<OpenRequest>()
  #isClosing = false

  /** Counts a request as open until its connection is free again and `work` has settled. */
  async add(
    request: IncomingMessage,
    response: ServerResponse,
    work: () => Promise<void>,
  ): Promise<void> {
    const open: OpenRequest = { request, response, endedAt: undefined }
    this.#open.add(open)
    const closed = new Promise<void>((resolve) => {
      if (response.closed) resolve()
      else response.once('close', () => resolve())
    })
    if (this.#isClosing) announceEnd(open)
    try {
      await work()
    } finally {
      void closed.then(() => this.#open.delete(open))
    }
  }

  /**
   * Resolves when the last one has its answer, or will never have one.
   * @param options `cut`, to break off what still comes in
   */
  async close({ cut }: { readonly cut: boolean }): Promise<void> {
    this.#isClosing = true
    const until = systemClock.now() + GRACE_MS
    for (const open of this.#open) {
      announceEnd(open)
      if (cut && !open.request.complete && !open.response.headersSent) open.request.destroy()
    }
    while (this.#open.size > 0) {
      const now = systemClock.now()
      if (now >= until) break
      for (const open of this.#open) endIfAnswered(open, now)
      for (const { request, endedAt } of this.#open) {
        if (endedAt !== undefined && now - endedAt >= LINGER_MS) request.destroy()
      }
      await wait(LOOK_MS)
    }
    for (const { request } of this.#open) request.destroy()
  }
}

/** RFC 9112 §9.6. */
function announceEnd({ request, response }: OpenRequest): void {
  if (request.httpVersionMajor > 1 || response.headersSent) return
  response.setHeader('Connection', 'close')
}

/** Whoever still sends is told that nobody listens any more, behind the answer. */
function endIfAnswered(open: OpenRequest, now: number): void {
  const { request, response } = open
  if (open.endedAt !== undefined || request.complete || !response.headersSent) return
  open.endedAt = now
  if (request.httpVersionMajor === 1) request.socket.end()
}
