import { expect, test } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { resolveWebSocketOptions, type WebSocketOptions } from './websocket-options.ts'

test('resolveWebSocketOptions() offers no compression and sends no pings by default', () => {
  expect(resolveWebSocketOptions({})).toMatchObject({
    deflate: undefined,
    protocols: [],
    pingIntervalMs: Infinity,
    maxMessageBytes: 16_777_216,
    background: false,
  })
})

test.each<[string, WebSocketOptions]>([
  ['protocols', { protocols: ['a b'] }],
  ['protocols', { protocols: [''] }],
  ['protocols', { protocols: ['a', 'a'] }],
  ['maxMessageBytes', { maxMessageBytes: 0 }],
  ['maxMessageBytes', { maxMessageBytes: Infinity }],
  ['maxHeldBytes', { maxHeldBytes: 1.5 }],
  ['closeTimeoutMs', { closeTimeoutMs: 0 }],
  ['pingIntervalMs', { pingIntervalMs: NaN }],
  ['threshold', { perMessageDeflate: { threshold: -1 } }],
  ['serverMaxWindowBits', { perMessageDeflate: { serverMaxWindowBits: 7 } }],
  ['clientMaxWindowBits', { perMessageDeflate: { clientMaxWindowBits: 16 } }],
])('resolveWebSocketOptions() refuses a wrong %s: %j', (option, options) => {
  const resolve = (): unknown => resolveWebSocketOptions(options)

  expect(resolve).toThrow(ConfigError)
  expect(resolve).toThrow(expect.objectContaining({ option }))
})
