/** The words in which a server tells why it refuses, as a line for people. Pure. */

/** Where servers have them: those of IndexedCP, then problems (RFC 9457), then others. */
const KEYS = ['error', 'message', 'detail', 'title'] as const
// A line in a terminal, and a little more.
const MAX_LENGTH = 200

/** Undefined where there are none: for pages of HTML, and for what is no text. */
export function readServerWords(text: string): string | undefined {
  const words = toLine(wordsOf(parseJson(text)) ?? text)
  const isPage = words.startsWith('<')
  const isJson = /^[[{]/.test(words)
  return words === '' || isPage || isJson || words.includes('\uFFFD') ? undefined : words
}

function wordsOf(json: unknown): string | undefined {
  if (typeof json === 'string') return json
  if (typeof json !== 'object' || json === null) return undefined
  const fields = json as Partial<Record<string, unknown>>
  for (const key of KEYS) {
    const value = fields[key]
    if (typeof value === 'string' && value.trim() !== '') return value
  }
  return undefined
}

/** Without characters that would do something to a terminal. */
function toLine(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
  // By characters, none of which is cut in two.
  const characters = [...line.slice(0, 2 * MAX_LENGTH + 1)]
  return characters.length > MAX_LENGTH ? `${characters.slice(0, MAX_LENGTH).join('')}…` : line
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
