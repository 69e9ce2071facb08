/**
 * What a server asks for with 401: the challenges of WWW-Authenticate (RFC 9110 §11.3, §11.6.1).
 *
 *     challenge  = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
 *     auth-param = token BWS "=" BWS ( token / quoted-string )
 *
 * Several challenges may stand in one line, divided by the same commas as their parameters.
 */

/** One challenge. */
export interface Challenge {
  /** In lower case. */
  readonly scheme: string
  /** Names in lower case, values without quotes; empty for a scheme with a token68. */
  readonly params: ReadonlyMap<string, string>
}

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const PARAM = new RegExp(`(${TOKEN})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))`, 'y')
const SCHEME = new RegExp(`(${TOKEN})(?=[ \\t,]|$)`, 'y')
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y
const BLANKS = /[ \t]+/y
const SEPARATOR = /[ \t,]+/y
// A head is limited, and yet may be long; no server asks in so many ways.
const MAX_CHALLENGES = 32

/** Reads the lines of a WWW-Authenticate field; what comes after a fault in a line is not read. */
export function parseChallenges(lines: readonly string[]): Challenge[] {
  return lines.flatMap(parseLine).slice(0, MAX_CHALLENGES)
}

function parseLine(line: string): Challenge[] {
  const challenges: { scheme: string; params: Map<string, string> }[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(line)
    if (match !== null) at = pattern.lastIndex
    return match
  }
  while (at < line.length && challenges.length <= MAX_CHALLENGES) {
    take(SEPARATOR)
    const last = challenges.at(-1)
    const param = last === undefined ? null : take(PARAM)
    if (param !== null) {
      const [, name = '', quoted, token = ''] = param
      // RFC 9110 §11.2: a name occurs once a challenge.
      const key = name.toLowerCase()
      if (!last?.params.has(key)) last?.params.set(key, quoted?.replace(/\\(.)/g, '$1') ?? token)
      continue
    }
    const scheme = take(SCHEME)
    if (scheme === null) break
    challenges.push({ scheme: (scheme[1] as string).toLowerCase(), params: new Map() })
    take(BLANKS)
    // `a=b` is a parameter, `a==` and `ab` are a token68.
    if (!startsWith(PARAM, line, at)) take(TOKEN68)
  }
  return challenges
}

function startsWith(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at
  return pattern.test(text)
}
