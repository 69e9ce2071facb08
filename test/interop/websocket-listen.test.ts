/** Messages by callback, from a server that was not made for Ferry. */
import { setTimeout as pause } from 'node:timers/promises'
import { connectWebSocket, type WebSocketListener } from 'ferry/transport'
import { expect, test } from 'vitest'
import { EchoServer } from '../support/websocket-echo-server.ts'

/** Writes down what a listener is told; `ended` when the last call has come. */
function record(onMessage: WebSocketListener['onMessage'] = () => {}): {
  readonly events: string[]
  readonly ended: Promise<void>
  readonly listener: WebSocketListener
} {
  const events: string[] = []
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  const listener: WebSocketListener = {
    onMessage: (message) => {
      events.push(String(message))
      return onMessage(message)
    },
    onClose: ({ code }) => {
      events.push(`closed ${code}`)
      resolve()
    },
    onError: ({ name }) => {
      events.push(name)
      resolve()
    },
  }
  return { events, ended, listener }
}

test('listen() tells every message in order, and the close at the end', async () => {
  await using server = await EchoServer.start({})
  const socket = await connectWebSocket(server.url)
  const { events, ended, listener } = record((message) => {
    if (message === 'three') void socket.close(4001)
  })

  socket.listen(listener)
  for (const text of ['one', 'two', 'three']) await socket.send(text)
  await ended

  expect(events).toEqual(['one', 'two', 'three', 'closed 4001'])
})

test('listen() waits for a listener that takes its time', async () => {
  await using server = await EchoServer.start({})
  await using socket = await connectWebSocket(server.url)
  let running = 0
  let most = 0
  const { events, listener } = record(async () => {
    most = Math.max(most, ++running)
    await pause(10)
    running--
  })

  socket.listen(listener)
  for (const text of ['one', 'two', 'three']) await socket.send(text)
  await expect.poll(() => events).toHaveLength(3)

  expect(most).toBe(1)
})

test('listen() tells that a socket ended otherwise', async () => {
  await using server = await EchoServer.start({})
  const socket = await connectWebSocket(server.url)
  const { events, ended, listener } = record()

  socket.listen(listener)
  socket.terminate()
  await ended

  expect(events).toEqual(['StreamError'])
})
