import { expect, test } from 'vitest'
import { RemoteProtocolError } from '../../errors.ts'
import { parseJsonBody } from './json-body.ts'

const WHAT = (): string => 'GET http://h/x'

function errorOf(content: string | Uint8Array, contentType?: string): RemoteProtocolError {
  try {
    parseJsonBody(content, WHAT, { contentType })
  } catch (error) {
    return error as RemoteProtocolError
  }
  throw new Error('no error')
}

test.each<[string, string | Uint8Array, string | undefined, unknown]>([
  ['text', '{"a":[1,"ü"]}', undefined, { a: [1, 'ü'] }],
  ['bytes', Buffer.from('{"a":"ü"}'), 'application/json', { a: 'ü' }],
  ['bytes of another type', Buffer.from('1'), 'text/html', 1],
  ['text with a mark', '\uFEFF1', undefined, 1],
  ['bytes with a mark', Buffer.from('\uFEFF1'), undefined, 1],
  ['another charset', Buffer.from('"\xfc"', 'latin1'), 'application/json; charset=latin1', 'ü'],
  ['UTF-16 with a mark', Buffer.from('\uFEFF"ü"', 'utf16le'), 'application/json', 'ü'],
  ['bytes that are no UTF-8', Buffer.from('"\xfc"', 'latin1'), undefined, '\uFFFD'],
])('parseJsonBody() of %s', (_name, content, contentType, value) => {
  expect(parseJsonBody(content, WHAT, { contentType })).toEqual(value)
})

test.each<[string, string, string]>([
  ['', 'application/json', '(application/json): it is empty'],
  [' \r\n', 'application/json', '(application/json): it is nothing but white space'],
  [
    '{"a": }',
    'application/json',
    '(application/json): unexpected "}" at line 1, column 7 of {"a": }',
  ],
  ['{"a":\n[1,\n2', 'a/b', '(a/b): it ends too early, at line 3, column 2 of {"a": [1, 2'],
  ['"😀" 😀', 'a/b', '(a/b): unexpected "😀" at line 1, column 6 of "😀" 😀'],
  ['"a\tb"', 'a/b', '(a/b): unexpected "\\t" at line 1, column 3 of "a b"'],
])('parseJsonBody() of %j says what is wrong', (text, contentType, message) => {
  const expected = `Cannot read the JSON of ${WHAT()} ${message}`

  expect(errorOf(text, contentType).message).toBe(expected)
  expect(errorOf(Buffer.from(text), contentType).message).toBe(expected)
  expect(errorOf(text, contentType)).toBeInstanceOf(RemoteProtocolError)
  expect(errorOf(text, contentType).cause).toBeInstanceOf(SyntaxError)
})

test('parseJsonBody() shows a part of what came, around the place', () => {
  const page = errorOf(`<!DOCTYPE html>\n<title>502</title>${'x'.repeat(1000)}`)
  expect(page.message).toBe(
    `Cannot read the JSON of ${WHAT()} (without Content-Type): unexpected "<" at line 1, column 1 of ` +
      `<!DOCTYPE html> <title>502</title>${'x'.repeat(46)}…`,
  )

  const list = Array.from({ length: 1000 }, (_, at) => `{"id":${at}}`)
  list[500] = '{"id":oops}'
  const { message, detail } = errorOf(`[\n${list.join(',\n')}\n]`, 'application/json')
  expect(message).toContain('unexpected "o" at line 502, column 7 of …')
  expect(/column 7 of …(.*)…$/.exec(message)?.[1]).toHaveLength(80)
  expect(message).toContain('{"id":oops}')
  expect(detail).toEqual({ offset: 5898, line: 502, column: 7, contentType: 'application/json' })
})

test('parseJsonBody() shows the end of what was cut', () => {
  const { message } = errorOf(`["${'ab'.repeat(1000)}`)

  expect(message).toMatch(/: it ends too early, at line 1, column 2003 of …(ab){40}$/)
})

test('parseJsonBody() shows no half characters and no control characters', () => {
  const { message } = errorOf(`["${'😀'.repeat(100)}\u001B[31m`)

  expect(message.isWellFormed()).toBe(true)
  expect(message).not.toContain('\u001B')
})

test('parseJsonBody() asks a reviver, and passes on what it throws', () => {
  const reviver = (key: string, value: unknown): unknown =>
    key === 'at' ? new Date(value as string) : value
  expect(parseJsonBody('{"at":"1970-01-01"}', WHAT, { reviver })).toEqual({ at: new Date(0) })

  const mistake = new SyntaxError('mine')
  const throwing = (): never => {
    throw mistake
  }
  expect(() => parseJsonBody('1', WHAT, { reviver: throwing })).toThrow(mistake)
})
