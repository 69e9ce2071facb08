import { expect, test } from 'vitest'
import { ConfigError, LocalProtocolError } from '../../errors.ts'
import { HttpRequest } from '../http-request.ts'
import { createEventRequest, withLastEventId } from './event-request.ts'

const URL = 'http://a/events'

test('createEventRequest() asks for events, uncached and uncompressed', () => {
  const { method, headers } = createEventRequest(URL, { headers: { 'X-Own': '1' } })

  expect(method).toBe('GET')
  expect([...headers]).toEqual([
    ['X-Own', '1'],
    ['Accept', 'text/event-stream'],
    ['Cache-Control', 'no-store'],
    ['Accept-Encoding', 'identity'],
  ])
})

test('createEventRequest() leaves fields of the caller as they are', () => {
  const own = { accept: 'text/event-stream, application/json', 'Cache-Control': 'no-cache' }

  const { headers } = createEventRequest(new HttpRequest('GET', URL, { headers: own }), {})

  expect([...headers]).toEqual([...Object.entries(own), ['Accept-Encoding', 'identity']])
})

test('createEventRequest() takes method and content', () => {
  const request = createEventRequest(URL, { method: 'POST', content: '{}' })

  expect(request).toMatchObject({ method: 'POST', content: Buffer.from('{}'), replayable: true })
})

test.each([{ method: 'POST' }, { headers: {} }, { content: '' }])(
  'createEventRequest() refuses %o beside a request',
  (init) => {
    expect(() => createEventRequest(new HttpRequest('GET', URL), init)).toThrow(ConfigError)
  },
)

test('createEventRequest() refuses Last-Event-ID among the fields', () => {
  expect(() => createEventRequest(URL, { headers: { 'last-event-id': '5' } })).toThrow(
    'Cannot use Last-Event-ID among the fields: give it as lastEventId, since it changes',
  )
})

test.each([
  ['5', '5'],
  ['é€😀', '\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80'],
  ['', undefined],
])('withLastEventId() sends %j as UTF-8, one character a byte', (id, field) => {
  const request = withLastEventId(createEventRequest(URL, {}), id)

  expect(request.headers.get('last-event-id')).toBe(field)
})

test('withLastEventId() replaces the one before', () => {
  const request = withLastEventId(withLastEventId(createEventRequest(URL, {}), '1'), '2')

  expect(request.headers.getAll('last-event-id')).toEqual(['2'])
})

test.each(['a\nb', 'a\0b', '\x01'])('withLastEventId() refuses %j', (id) => {
  expect(() => withLastEventId(createEventRequest(URL, {}), id)).toThrow(LocalProtocolError)
})
