import { expect, test } from 'vitest'
import { formatBasicCredentials } from './basic-credentials.ts'

test.each([
  // RFC 7617 §2 and §2.1
  ['Aladdin', 'open sesame', 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='],
  ['test', '123£', 'Basic dGVzdDoxMjPCow=='],
  ['', '', 'Basic Og=='],
])('formatBasicCredentials() of %j and %j', (username, password, expected) => {
  expect(formatBasicCredentials({ username, password })).toBe(expected)
})
