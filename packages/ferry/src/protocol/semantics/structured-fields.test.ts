import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Item, parseItemDictionary, parseItemList } from './structured-fields.ts'

/** An item as `type value`, with its parameters. */
function show({ bare, parameters }: Item): string {
  const one = ({ type, value }: Item['bare']): string => `${type} ${JSON.stringify(value)}`
  return [one(bare), ...[...parameters].map(([key, value]) => `${key}=${one(value)}`)].join('; ')
}

const lists: readonly [string, readonly string[] | undefined][] = [
  ['', []],
  ['   ', []],
  ['1', ['integer 1']],
  ['  1  ', ['integer 1']],
  ['-15, 0', ['integer -15', 'integer 0']],
  ['007', ['integer 7']],
  ['999999999999999', ['integer 999999999999999']],
  ['1000000000000000', undefined],
  ['1.5', ['decimal 1.5']],
  ['-0.125', ['decimal -0.125']],
  ['5.0', ['decimal 5']],
  ['1.', undefined],
  ['.5', undefined],
  ['1.2345', undefined],
  ['1.2.3', undefined],
  ['1234567890123.1', undefined],
  ['--1', undefined],
  ['"a b"', ['string "a b"']],
  ['""', ['string ""']],
  ['"a\\"b\\\\c"', ['string "a\\"b\\\\c"']],
  ['"a\\nb"', undefined],
  ['"a', undefined],
  ['"\t"', undefined],
  ['"ä"', undefined],
  ['abc', ['token "abc"']],
  ['*a/b:c', ['token "*a/b:c"']],
  [':aGk=:', ['bytes "aGk="']],
  ['::', ['bytes ""']],
  [':a b:', undefined],
  ['?1, ?0', ['boolean true', 'boolean false']],
  ['?2', undefined],
  ['@1659578233', ['date 1659578233']],
  ['@1.5', undefined],
  ['%"f%c3%bc"', ['display "f%c3%bc"']],
  ['%"%zz"', undefined],
  ['a\t, \tb', ['token "a"', 'token "b"']],
  ['a b', undefined],
  ['a,', undefined],
  ['a, ', undefined],
  [',a', undefined],
  ['a,,b', undefined],
  ['\ta', undefined],
  ['(1 2)', undefined],
  ['"p";r=50;t=30', ['string "p"; r=integer 50; t=integer 30']],
  ['"p";   r=1', ['string "p"; r=integer 1']],
  ['"p" ;r=1', undefined],
  ['"p"; r=1, "q";x', ['string "p"; r=integer 1', 'string "q"; x=boolean true']],
  ['"p";r=1;r=2', ['string "p"; r=integer 2']],
  ['"p";pk=:aGk=:;*a_-.1=b', ['string "p"; pk=bytes "aGk="; *a_-.1=token "b"']],
  ['"p";', undefined],
  ['"p";R=1', undefined],
  ['"p";r=', undefined],
  ['"p";r =1', undefined],
]

test.each(lists)('parseItemList() reads %j as RFC 9651 §4.2.1 says', (text, expected) => {
  expect(parseItemList(text)?.map(show)).toEqual(expected)
})

const dictionaries: readonly [string, Record<string, string> | undefined][] = [
  ['', {}],
  ['a=1, b', { a: 'integer 1', b: 'boolean true' }],
  [
    'limit=100, remaining=50, reset=5',
    { limit: 'integer 100', remaining: 'integer 50', reset: 'integer 5' },
  ],
  ['a=1;x=2,a="b"', { a: 'string "b"' }],
  ['a;x=2', { a: 'boolean true; x=integer 2' }],
  ['a=', undefined],
  ['a= 1', undefined],
  ['A=1', undefined],
  ['a=1;', undefined],
  ['a;=', undefined],
  ['a=1,', undefined],
  ['a=(1)', undefined],
]

test.each(dictionaries)(
  'parseItemDictionary() reads %j as RFC 9651 §4.2.2 says',
  (text, expected) => {
    const items = parseItemDictionary(text)

    expect(items && Object.fromEntries([...items].map(([key, item]) => [key, show(item)]))).toEqual(
      expected,
    )
  },
)

test('parseItemList() and parseItemDictionary() take any text without an error', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'ab1.-";=, \t?@%:*()\\') }),
  )

  fc.assert(
    fc.property(text, (value) => {
      const results = [parseItemList(value), parseItemDictionary(value)]
      expect(results).toHaveLength(2)
    }),
    { numRuns: 2000 },
  )
})

test('parseItemList() takes time in proportion to the text', () => {
  const hostile = [
    '"'.padEnd(60_000, 'a'),
    '1,'.repeat(30_000),
    ';'.repeat(60_000),
    ' '.repeat(60_000),
  ]
  const startedAt = performance.now()

  for (const text of hostile) parseItemList(`a${text}`)

  expect(performance.now() - startedAt).toBeLessThan(3000)
})
