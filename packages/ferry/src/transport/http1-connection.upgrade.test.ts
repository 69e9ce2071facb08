import { expect, test } from 'vitest'
import { RemoteProtocolError } from '../errors.ts'
import { MemoryStream } from '../net/memory-backend.ts'
import type { NetworkStream } from '../net/network-backend.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { RecordingHandler } from '../testing/recording-handler.ts'
import { startExchange } from '../testing/start-exchange.ts'
import { Http1Connection } from './http1-connection.ts'
import { HttpRequest } from './http-request.ts'

const UPGRADE = new HttpRequest('GET', 'http://h/chat', {
  headers: { Connection: 'Upgrade', Upgrade: 'websocket' },
})
const CONNECT = new HttpRequest('CONNECT', 'http://h:443/')
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'
const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\nContent-Length: 99\r\n\r\n'

/** Takes an upgrade and reads on from its stream. */
class UpgradeHandler extends RecordingHandler {
  stream: NetworkStream | undefined
  received = ''
  ended = false

  onUpgrade(head: { status: number }, stream: NetworkStream): void {
    this.events.push(`upgrade ${head.status}`)
    this.stream = stream
    stream.read({
      onBytes: (bytes) => void (this.received += bytes.toString('latin1')),
      onEnd: () => void (this.ended = true),
      onError: () => {},
      nextBuffer: () => undefined,
    })
  }
}

function upgrade(request: HttpRequest, handler: RecordingHandler = new UpgradeHandler()) {
  const clock = new FakeClock()
  const stream = new MemoryStream()
  const states: string[] = []
  const connection = new Http1Connection(stream, {
    clock,
    id: 1,
    onStateChange: ({ state }) => states.push(state),
  })
  startExchange(connection, request, handler, { clock })
  return { stream, states, connection, handler: handler as UpgradeHandler }
}

test.each([
  ['101', UPGRADE, SWITCHING, 'upgrade 101'],
  ['2xx to CONNECT, whose length means nothing,', CONNECT, ESTABLISHED, 'upgrade 200'],
])('Http1Connection hands its stream over after %s', (_, request, head, event) => {
  const { stream, states, handler } = upgrade(request)

  stream.send(`${head}first`)
  stream.send('second')
  handler.stream?.write('mine')
  stream.sendEnd()

  expect(handler.events).toEqual([event])
  expect(handler.received).toBe('firstsecond')
  expect(handler.ended).toBe(true)
  expect(stream.written).toMatch(/\r\n\r\nmine$/)
  expect(states).toEqual(['closed'])
  expect(stream.closed).toBe(false)
})

test('Http1Connection hands over the same bytes at every split', () => {
  const wire = `HTTP/1.1 103 Early Hints\r\n\r\n${SWITCHING}0123456789`
  for (let split = 1; split < wire.length; split++) {
    const { stream, handler } = upgrade(UPGRADE)

    stream.send(wire.slice(0, split))
    stream.send(wire.slice(split))

    expect(handler.events).toEqual(['information 103', 'upgrade 101'])
    expect(handler.received).toBe('0123456789')
  }
})

test.each([
  ['101', UPGRADE, 'HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno', 'head 426 2'],
  ['2xx', CONNECT, 'HTTP/1.1 407 Who?\r\nContent-Length: 2\r\n\r\nno', 'head 407 2'],
])('Http1Connection gives an ordinary response instead of %s, and lives on', (_, ...row) => {
  const [request, wire, head] = row
  const { stream, states, handler } = upgrade(request)

  stream.send(wire)

  expect(handler.events).toEqual([head, 'content no', 'complete'])
  expect(states).toEqual(['idle'])
})

test.each([
  ['was not asked for', new HttpRequest('GET', 'http://h/'), new UpgradeHandler()],
  ['nobody can take', UPGRADE, new RecordingHandler()],
])('Http1Connection fails when a switch of protocols %s', (_, request, handler) => {
  const { stream, states } = upgrade(request, handler)

  stream.send(SWITCHING)

  expect(handler.error).toBeInstanceOf(RemoteProtocolError)
  expect(states).toEqual(['closed'])
  expect(stream.closed).toBe(true)
})
