import { expect, test } from 'vitest'
import { LocalProtocolError } from '../../errors.ts'
import { readStreamToBytes } from '../../transport/read-stream.ts'
import { bodyContent, type RequestBodyInit } from './body-content.ts'
import { MultipartForm } from './multipart-form.ts'

const form = new FormData()
form.append('a', 'b')

test.each<[string, RequestBodyInit, string | undefined, string]>([
  ['text', 'grüße', 'text/plain;charset=UTF-8', 'grüße'],
  ['bytes', Buffer.from('a'), undefined, 'a'],
  ['pieces', [Buffer.from('a'), Buffer.from('b')], undefined, 'ab'],
  ['no pieces', [], undefined, ''],
  ['a Blob with a type', new Blob(['a'], { type: 'image/png' }), 'image/png', 'a'],
  ['a Blob without one', new Blob(['a']), undefined, 'a'],
  ['parameters', new URLSearchParams({ a: 'b c' }), 'application/x-www-form-urlencoded', 'a=b+c'],
])('bodyContent() of %s', async (_name, body, contentType, text) => {
  const made = bodyContent(body)

  expect(made.contentType).toBe(contentType)
  expect((await readStreamToBytes(made.content)).toString()).toBe(text)
})

test.each<[string, RequestBodyInit]>([
  ['FormData', form],
  ['a MultipartForm', new MultipartForm().addField('a', 'b')],
  ['a list of parts', [{ name: 'a', value: 'b' }]],
])('bodyContent() of %s is multipart', async (_name, body) => {
  const { content, contentType } = bodyContent(body)

  expect(contentType).toMatch(/^multipart\/form-data; boundary=ferry-form-[\da-f]{32}$/)
  expect((await readStreamToBytes(content)).toString()).toContain('name="a"\r\n\r\nb\r\n--')
})

test('bodyContent() refuses what is nothing to send', () => {
  expect(() => bodyContent({ a: 1 } as never)).toThrow(LocalProtocolError)
  expect(() => bodyContent([{ a: 1 }] as never)).toThrow(TypeError)
})
