/**
 * URLs that stand for many: `http://{a,b}.example/img[001-100:2].png`, as curl reads them; aria2 does
 * it the same way. Pure.
 */
import { ConfigError } from '../../errors.ts'

// Enough for every page of a book; a slip of the finger in a range gives millions.
const DEFAULT_MAX_URLS = 10_000
// RFC 3986 §3.2.2: brackets that are part of a URL.
const IPV6_ADDRESS = /\[(?:[0-9a-f]*:){2,}[^[\]]*\]/iy
const RANGE = /\[(?:(\d+)-(\d+)|([a-z])-([a-z])|([A-Z])-([A-Z]))(?::(\d+))?\]/y
const ALTERNATIVES = /\{((?:[^\\{}[\]]|\\.)+)\}/y
const COMMA = /(?<!\\),/
const LITERAL = /(?:[^\\{}[\]]|\\[{}[\],]|\\(?![{}[\],])|\[\])+/y

/**
 * Gives the URLs that a pattern stands for; a text without braces and brackets stands for itself.
 * The last part that changes changes fastest.
 *
 * `{a,b}` stands for one of the texts, `[1-10]` and `[a-z]` for a number or letter of a range,
 * `[0-100:5]` for each fifth. Zeros before the first number are kept: `[001-100]`. A backslash before
 * a brace, bracket or comma takes its meaning away; `[]` and addresses of IPv6 have none.
 * @throws {ConfigError} option `url`, when the pattern is broken or stands for more than `maxUrls`
 */
export function expandUrl(
  pattern: string,
  { maxUrls = DEFAULT_MAX_URLS }: { readonly maxUrls?: number } = {},
): string[] {
  let urls = ['']
  for (const part of readParts(pattern)) {
    const count = urls.length * part.count
    if (count > maxUrls) {
      throw new ConfigError(
        'url',
        `Cannot expand the URL: expected at most ${maxUrls} URLs, got ${count} or more`,
      )
    }
    const texts = Array.from({ length: part.count }, (_, index) => part.textAt(index))
    urls = urls.flatMap((begin) => texts.map((text) => begin + text))
  }
  return urls
}

/** A part of a pattern: so many texts, one of which is to stand in its place. */
interface Part {
  readonly count: number
  textAt(index: number): string
}

function readParts(pattern: string): Part[] {
  const parts: Part[] = []
  let position = 0
  const match = (form: RegExp): RegExpExecArray | null => {
    form.lastIndex = position
    const found = form.exec(pattern)
    if (found !== null) position = form.lastIndex
    return found
  }
  while (position < pattern.length) {
    const literal = match(IPV6_ADDRESS)?.[0] ?? match(LITERAL)?.[0]
    const part =
      literal === undefined
        ? (readRange(match(RANGE)) ?? readAlternatives(match(ALTERNATIVES)))
        : fixed([unescape(literal)])
    // The pattern itself stays out of the message: it may hold a password.
    if (part === undefined) throw broken(position, pattern.charAt(position))
    parts.push(part)
  }
  return parts
}

function readRange(found: RegExpExecArray | null): Part | undefined {
  if (found === null) return undefined
  const [, first, last, small, smallLast, large, largeLast, stepText = '1'] = found
  const letter = small ?? large
  const start = letter?.charCodeAt(0) ?? Number(first)
  const end = (smallLast ?? largeLast)?.charCodeAt(0) ?? Number(last)
  const step = Number(stepText)
  const isUsable = start <= end && step > 0 && Number.isSafeInteger(end + step)
  if (!isUsable) throw broken(found.index, '[')
  const width = first?.startsWith('0') === true ? first.length : 0
  return {
    count: Math.floor((end - start) / step) + 1,
    textAt: (index) => {
      const value = start + index * step
      return letter === undefined ? String(value).padStart(width, '0') : String.fromCharCode(value)
    },
  }
}

function readAlternatives(found: RegExpExecArray | null): Part | undefined {
  return found === null ? undefined : fixed((found[1] as string).split(COMMA).map(unescape))
}

function fixed(texts: readonly string[]): Part {
  return { count: texts.length, textAt: (index) => texts[index] as string }
}

function unescape(text: string): string {
  return text.replace(/\\([{}[\],])/g, '$1')
}

function broken(position: number, character: string): ConfigError {
  return new ConfigError(
    'url',
    `Cannot expand the URL at character ${position + 1}: ` +
      `expected {a,b}, [1-10], [a-z] or a backslash before a ${JSON.stringify(character)} of its own`,
  )
}
