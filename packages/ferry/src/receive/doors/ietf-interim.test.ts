import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, constants, createServer, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { Interim } from './ietf-interim.ts'

test('Interim tells nothing to a client that has cancelled its stream', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const requested = once(server, 'request') as Promise<[unknown, Http2ServerResponse]>
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const stream = client.request({ ':method': 'POST' }, { endStream: false })
  stream.on('error', () => {})
  const [, response] = await requested
  const closed = once(response, 'close')
  using interim = new Interim(response as unknown as ServerResponse, 9)

  interim.announce('files/1', 'min-size=0')
  const [told] = await once(stream, 'headers')
  stream.close(constants.NGHTTP2_CANCEL)
  await closed

  expect(told).toMatchObject({ ':status': 104, location: 'files/1' })
  expect(() => interim.announce('files/1', 'min-size=0')).not.toThrow()
  client.destroy()
  server.close()
})
