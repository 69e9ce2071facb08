import { expect, test } from 'vitest'
import { compareContent, type HeldContent } from './compare-content.ts'

function held(text: string): HeldContent {
  const bytes = Buffer.from(text)
  return {
    length: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
  }
}

async function* chunks(...texts: readonly string[]): AsyncGenerator<Uint8Array, void> {
  for (const text of texts) yield await Promise.resolve(Buffer.from(text))
}

test.each([[['abcdef']], [['abc', 'def']], [['a', 'bcde', 'f']]])(
  'compareContent() finds %j to be the same',
  async (texts) => {
    expect(await compareContent(chunks(...texts), held('abcdef'))).toEqual({ isSame: true })
  },
)

test.each([
  [['abcxef'], 'abcxef'],
  [['abc', 'xe', 'f'], 'abcxef'],
  [['xbcdef'], 'xbcdef'],
  [['abc'], 'abc'],
  [['abcdef', 'g', 'h'], 'abcdefgh'],
  [[], ''],
])('compareContent() gives all of %j back when it differs', async (texts, whole) => {
  const compared = await compareContent(chunks(...texts), held('abcdef'))

  if (compared.isSame) throw new Error('expected a difference')
  const content: Uint8Array[] = []
  for await (const chunk of compared.content) content.push(chunk)
  expect(Buffer.concat(content).toString()).toBe(whole)
})
