/** Reads the field Link (RFC 8288 §3), strictly; what parameters mean is up to who asks for them. */
import { trimOws } from './grammar.ts'

/** One link of a field. */
export interface Link {
  /** As it stands there: to be resolved against the URL of the response. */
  readonly target: string
  /** Relation types, in lower case. */
  readonly relations: readonly string[]
  /**
   * Values by name, names in lower case; an empty text where there is no value. Of a name that is
   * repeated, the first counts.
   */
  readonly parameters: ReadonlyMap<string, string>
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
    const parameters = new Map<string, string>()
    for (let found = match(PARAMETER); found !== null; found = match(PARAMETER)) {
      const [, written = '', quoted, token] = found
      const name = written.toLowerCase()
      // §3.3, §3.4.1: what stands there again does not count.
      if (parameters.has(name)) continue
      parameters.set(name, quoted?.replace(/\\(.)/g, '$1') ?? token ?? '')
    }
    if (match(SEPARATOR) === null) break
    const relations = (parameters.get('rel') ?? '')
      .toLowerCase()
      .split(/\s+/)
      .filter((one) => one !== '')
    links.push({ target: target[1] as string, relations, parameters })
  }
  return links
}

/** The target of the first link of that relation; undefined when there is none. */
export function findLink(field: string | undefined, relation: string): string | undefined {
  if (field === undefined) return undefined
  return parseLinks(field).find(({ relations }) => relations.includes(relation))?.target
}
