/** Reads the field Link (RFC 8288 §3), strictly, and as far as relations go. */
import { trimOws } from './grammar.ts'

/** One link of a field. */
export interface Link {
  /** As it stands there: to be resolved against the URL of the response. */
  readonly target: string
  /** Relation types, in lower case. */
  readonly relations: readonly string[]
}

const TARGET = /<([^>]*)>/y
// RFC 8288 §3, B.2: a name, and a token or quoted text for its value.
const PARAMETER =
  /[ \t]*;[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*(?:=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?/y
const SEPARATOR = /[ \t]*(?:,[ \t]*|$)/y

/** Reads all links; those before the first mistake. Linear in the text's length. */
export function parseLinks(field: string): Link[] {
  const links: Link[] = []
  const text = trimOws(field)
  let position = 0
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position
    const found = pattern.exec(text)
    if (found !== null) position = pattern.lastIndex
    return found
  }
  while (position < text.length) {
    const target = match(TARGET)
    if (target === null) break
    let relation: string | undefined
    for (let found = match(PARAMETER); found !== null; found = match(PARAMETER)) {
      const [, name = '', quoted, token] = found
      // §3.3: only the first counts.
      if (name.toLowerCase() === 'rel') relation ??= quoted?.replace(/\\(.)/g, '$1') ?? token ?? ''
    }
    if (match(SEPARATOR) === null) break
    const relations = (relation ?? '')
      .toLowerCase()
      .split(/\s+/)
      .filter((one) => one !== '')
    links.push({ target: target[1] as string, relations })
  }
  return links
}

/** The target of the first link of that relation; undefined when there is none. */
export function findLink(field: string | undefined, relation: string): string | undefined {
  if (field === undefined) return undefined
  return parseLinks(field).find(({ relations }) => relations.includes(relation))?.target
}
