import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LocalProtocolError } from '../../errors.ts'
import { HeaderFields, type HeaderFieldsInit } from './header-fields.ts'

type Line = readonly [name: string, value: string]

const COOKIES: readonly Line[] = [
  ['Set-Cookie', 'a=1'],
  ['ETag', '"x"'],
  ['set-cookie', 'b=2, c=3'],
]

function toLines(init: HeaderFieldsInit | undefined): readonly Line[] {
  return [...HeaderFields.from(init)]
}

function catchError(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  return undefined
}

describe('HeaderFields.from()', () => {
  test('gives the empty instance for undefined', () => {
    expect(HeaderFields.from(undefined)).toBe(HeaderFields.empty)
    expect([...HeaderFields.empty]).toEqual([])
  })

  test('gives an instance back as it is', () => {
    const fields = HeaderFields.from(COOKIES)

    expect(HeaderFields.from(fields)).toBe(fields)
  })

  test('keeps pairs in order and names as they are spelled', () => {
    expect(toLines(COOKIES)).toEqual(COOKIES)
  })

  test('takes a record, with one line for each value of a list', () => {
    const lines = toLines({ Accept: ['a', 'b'], Host: 'h', 'X-None': [] })

    expect(lines).toEqual([
      ['Accept', 'a'],
      ['Accept', 'b'],
      ['Host', 'h'],
    ])
  })

  test('takes a Map and platform Headers', () => {
    expect(toLines(new Map([['A', '1']]))).toEqual([['A', '1']])
    expect(toLines(new Headers({ A: '1' }))).toEqual([['a', '1']])
  })

  test('takes a one-shot iterable', () => {
    function* lines(): Generator<Line> {
      yield ['A', '1']
      yield ['B', '2']
    }

    expect(toLines(lines())).toEqual([
      ['A', '1'],
      ['B', '2'],
    ])
  })

  test('removes optional whitespace around a value, and nothing else', () => {
    expect(toLines([['A', ' \t1 2\xa0\t']])).toEqual([['A', '1 2\xa0']])
  })

  test('keeps a field named __proto__ as a field', () => {
    const fields = HeaderFields.from([['__proto__', 'x']])

    expect(fields.get('__proto__')).toBe('x')
    expect(fields.get('constructor')).toBeUndefined()
  })

  test('cannot be changed', () => {
    expect(Object.isFrozen(HeaderFields.from(COOKIES))).toBe(true)
    expect(Object.isFrozen(HeaderFields.empty.append('A', '1'))).toBe(true)
    expect(Object.isFrozen(HeaderFields.empty)).toBe(true)
  })

  test('gives lines that may be changed without changing the fields', () => {
    const fields = HeaderFields.from([['A', '1']])

    for (const line of fields) (line as [string, string])[1] = '2'
    fields.getAll('A').push('3')

    expect([...fields]).toEqual([['A', '1']])
  })

  test('is not changed by later changes of what it was made from', () => {
    const lines: [string, string][] = [['A', '1']]
    const fields = HeaderFields.from(lines)

    lines[0]![1] = '2'
    lines.push(['B', '3'])

    expect([...fields]).toEqual([['A', '1']])
  })
})

describe('HeaderFields refuses', () => {
  const makers: [string, (name: string, value: string) => HeaderFields][] = [
    ['from(pairs)', (name, value) => HeaderFields.from([[name, value]])],
    ['from(record)', (name, value) => HeaderFields.from({ [name]: [value] })],
    ['append()', (name, value) => HeaderFields.empty.append(name, value)],
    ['with()', (name, value) => HeaderFields.empty.with(name, value)],
  ]

  describe.each(makers)('in %s', (_, make) => {
    test.each(['', ' ', 'a b', 'a:', 'a\r\nb', 'a\0', 'é', '(a)'])('the name %j', (name) => {
      expect(() => make(name, 'v')).toThrow(LocalProtocolError)
    })

    test.each(['a\r\nX: y', 'a\n', '\n', 'a\r', '\0', '\x1b', '\x7f', '€'])(
      'the value %j',
      (value) => {
        expect(() => make('A', value)).toThrow(LocalProtocolError)
      },
    )
  })

  test.each([1, undefined, null, {}])('%j where there must be text', (value) => {
    const text = value as unknown as string

    expect(() => HeaderFields.from([['A', text]])).toThrow(LocalProtocolError)
    expect(() => HeaderFields.from({ A: text })).toThrow(LocalProtocolError)
    expect(() => HeaderFields.from([[text, 'v']])).toThrow(LocalProtocolError)
  })

  test('a bad value without telling it, for it may be a secret', () => {
    const error = catchError(() => HeaderFields.from([['Authorization', 'Basic c2VjcmV0\n']]))

    expect(error).toBeInstanceOf(LocalProtocolError)
    expect((error as Error).message).toContain('Authorization')
    expect(JSON.stringify(error)).not.toContain('c2VjcmV0')
  })

  test('a bad name and tells it escaped, on one line', () => {
    const error = catchError(() => HeaderFields.from([['a\r\nb', 'v']]))

    expect((error as Error).message).toBe('Cannot use "a\\r\\nb" as a field name: not a token')
  })
})

describe('HeaderFields lookups', () => {
  const fields = HeaderFields.from(COOKIES)

  test('size counts lines, not names', () => {
    expect(fields.size).toBe(3)
    expect(HeaderFields.empty.size).toBe(0)
  })

  test('get() joins all values of a name, whatever its case', () => {
    expect(fields.get('SET-COOKIE')).toBe('a=1, b=2, c=3')
    expect(fields.get('etag')).toBe('"x"')
  })

  test('get() tells an empty value from an absent field', () => {
    const some = HeaderFields.from([['A', '']])

    expect(some.get('a')).toBe('')
    expect(some.get('b')).toBeUndefined()
  })

  test('get() joins empty values too', () => {
    expect(
      HeaderFields.from([
        ['A', ''],
        ['a', '1'],
        ['A', ''],
      ]).get('A'),
    ).toBe(', 1, ')
  })

  test('getAll() gives each value by itself, in order', () => {
    expect(fields.getAll('set-COOKIE')).toEqual(['a=1', 'b=2, c=3'])
    expect(fields.getAll('cookie')).toEqual([])
  })

  test('has() compares names without case', () => {
    expect(fields.has('eTag')).toBe(true)
    expect(fields.has('e')).toBe(false)
    expect(HeaderFields.empty.has('')).toBe(false)
  })

  test.each([
    ['content-length', true],
    ['CONTENT-LENGTH', true],
    ['Transfer-Encoding', true],
    ['Content-Type', false],
    ['Content-Length-2', false],
  ])('framesContent knows %s: %s', (name, framing) => {
    const some = fields.append(name, '1')

    expect([some.framesContent, some.framesContent]).toEqual([framing, framing])
  })

  test('iterates any number of times', () => {
    expect([...fields]).toEqual(COOKIES)
    expect([...fields]).toEqual(COOKIES)
  })

  test('toJSON() gives the lines in wire order', () => {
    expect(JSON.parse(JSON.stringify(fields))).toEqual(COOKIES)
  })
})

describe('HeaderFields copies', () => {
  const fields = HeaderFields.from(COOKIES)

  test('append() adds a line at the end and leaves the original alone', () => {
    const longer = fields.append('Set-Cookie', ' d=4 ')

    expect([...longer]).toEqual([...COOKIES, ['Set-Cookie', 'd=4']])
    expect([...fields]).toEqual(COOKIES)
    expect(longer.get('set-cookie')).toBe('a=1, b=2, c=3, d=4')
  })

  test('with() replaces every line of a name by one', () => {
    const changed = fields.with('SET-COOKIE', '\tz\t')

    expect([...changed]).toEqual([
      ['ETag', '"x"'],
      ['SET-COOKIE', 'z'],
    ])
    expect([...fields]).toEqual(COOKIES)
  })

  test('with() adds a line that was not there', () => {
    expect([...HeaderFields.empty.with('A', '1')]).toEqual([['A', '1']])
    expect(HeaderFields.empty.size).toBe(0)
  })

  test('without() removes every line of each name, whatever its case', () => {
    expect([...fields.without('set-COOKIE')]).toEqual([['ETag', '"x"']])
    expect([...fields.without('etag', 'Set-Cookie')]).toEqual([])
    expect([...fields]).toEqual(COOKIES)
  })

  test('without() gives the same instance when there is nothing to remove', () => {
    expect(fields.without('x', 'cookie')).toBe(fields)
    expect(fields.without()).toBe(fields)
  })
})

describe('HeaderFields.fromParsed()', () => {
  test('gives the empty instance for no lines', () => {
    expect(HeaderFields.fromParsed([], [])).toBe(HeaderFields.empty)
  })

  test('pairs names and values by position', () => {
    expect([...HeaderFields.fromParsed(['A', 'B'], ['1', '2'])]).toEqual([
      ['A', '1'],
      ['B', '2'],
    ])
  })
})

describe('HeaderFields, for any lines,', () => {
  const name = fc.constantFrom('A', 'a', 'B', 'b', 'Set-Cookie', 'SET-COOKIE')
  const lines = fc.array(fc.tuple(name, fc.stringMatching(/^[!-~]{0,4}$/)), { maxLength: 8 })

  test('has(), get(), getAll() and without() agree with each other', () => {
    fc.assert(
      fc.property(lines, name, (init, wanted) => {
        const fields = HeaderFields.from(init)
        const values = fields.getAll(wanted)
        const rest = fields.without(wanted)

        expect(fields.has(wanted)).toBe(values.length > 0)
        expect(fields.get(wanted)).toBe(values.length > 0 ? values.join(', ') : undefined)
        expect(rest.has(wanted)).toBe(false)
        expect(rest.size + values.length).toBe(fields.size)
        expect([...HeaderFields.from([...fields])]).toEqual(init)
      }),
    )
  })
})
