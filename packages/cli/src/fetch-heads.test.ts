import { HeaderFields, HttpRequest } from 'ferry/transport'
import { describe, expect, test } from 'vitest'
import { describeFields, describeRequest } from './fetch-heads.ts'

describe('describeFields() leaves out what is secret', () => {
  test.each([
    ['Authorization: Bearer abc', 'Authorization: Bearer …'],
    ['Authorization: abc def', 'Authorization: …'],
    ['Proxy-Authorization: Basic YTpi', 'Proxy-Authorization: Basic …'],
    ['Cookie: a=1; b=2', 'Cookie: a=…; b=…'],
    ['Cookie: abc', 'Cookie: …'],
    ['Set-Cookie: sid=abc; Path=/; HttpOnly', 'Set-Cookie: sid=…; Path=/; HttpOnly'],
    ['X-Api-Key: abc', 'X-Api-Key: …'],
    ['X-Own: abc', 'X-Own: …'],
    ['Location: /next?token=abc#x', 'Location: /next?…'],
    ['Location: https://a:b@h.test/?c=d', 'Location: https://…@h.test/?…'],
    ['Location: //a:b@c@h.test/d', 'Location: //…@h.test/d'],
    ['Location: /next#access_token=abc', 'Location: /next#…'],
    ['Location: /next?a=b;c,d', 'Location: /next?…'],
    ['Location: //a:b\u009bc@h.test/d', 'Location: //…@h.test/d'],
    ['Refresh: 0; url=/next?c=d', 'Refresh: 0; url=/next?…'],
    ['X-CSRFToken: abc', 'X-CSRFToken: …'],
    ['X-Title: caf\u00c3\u00a9', 'X-Title: café'],
    ['Link: <https://h.test/?page=2>; rel="next"', 'Link: <https://h.test/?…>; rel="next"'],
    ['X-Next: https://h.test/?c=d', 'X-Next: https://h.test/?…'],
    ['Content-Type: text/plain', 'Content-Type: text/plain'],
    ['Keep-Alive: timeout=5', 'Keep-Alive: timeout=5'],
  ])('%s', (line, described) => {
    const [name = '', value = ''] = line.split(/: (.*)/s)

    expect(describeFields(HeaderFields.from([[name, value]]), ['x-own'])).toEqual([described])
  })
})

test('describeRequest() shows the host, and no query', () => {
  const request = new HttpRequest('GET', 'http://a:b@h.test:81/p?q=r', { headers: { Accept: 'x' } })

  expect(describeRequest(request, [])).toEqual(['GET /p?…', 'Host: h.test:81', 'Accept: x'])
})
