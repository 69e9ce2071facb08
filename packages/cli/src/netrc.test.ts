import { describe, expect, test } from 'vitest'
import { findNetrcEntry, parseNetrc } from './netrc.ts'

describe('parseNetrc()', () => {
  test('reads entries over one line or several', () => {
    const text =
      'machine A.example login u password p\nmachine b.example\n\tlogin v\n\tpassword q\n'

    expect(parseNetrc(text)).toEqual([
      { host: 'a.example', login: 'u', password: 'p' },
      { host: 'b.example', login: 'v', password: 'q' },
    ])
  })

  test.each([
    { what: 'quotes', text: 'machine h login u password "a b\\"c\\\\"', password: 'a b"c\\' },
    { what: 'a sharp in a password', text: 'machine h login u password #x#', password: '#x#' },
    { what: 'an account', text: 'machine h account x login u password p', password: 'p' },
    { what: 'unknown words', text: 'machine h port 21 login u password p', password: 'p' },
    { what: 'line ends of Windows', text: 'machine h\r\nlogin u\r\npassword p\r\n', password: 'p' },
    { what: 'a comment', text: '# machine x\nmachine h login u password p', password: 'p' },
    {
      what: 'a macro',
      text: 'machine h login u password p\nmacdef init\ncd /x\nmachine no\n\n',
      password: 'p',
    },
  ])('takes $what', ({ text, password }) => {
    expect(parseNetrc(text)).toEqual([{ host: 'h', login: 'u', password }])
  })

  test('reads what follows a macro', () => {
    expect(parseNetrc('macdef init\ncd /x\n\nmachine h login u password p')).toHaveLength(1)
  })

  test('passes over a file that is none', () => {
    expect(parseNetrc('login u password p\n"')).toEqual([])
  })
})

describe('findNetrcEntry()', () => {
  const entries = parseNetrc(
    'default login d password d machine h login u password p machine h login v password q',
  )

  test('takes the first entry of the host, whatever the case', () => {
    expect(findNetrcEntry(entries, 'H')).toMatchObject({ login: 'u' })
  })

  test('takes the default for other hosts', () => {
    expect(findNetrcEntry(entries, 'other')).toMatchObject({ login: 'd' })
    expect(findNetrcEntry(parseNetrc('machine h'), 'other')).toBeUndefined()
  })
})
