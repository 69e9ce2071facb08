/**
 * What a server says of how long it keeps a connection: `Keep-Alive: timeout=5, max=100`.
 * The field is not in RFC 9112 (its registration is RFC 2068 §19.7.1.1), yet nearly every server sends it.
 */

/** What the field says; undefined for what it does not say, or says badly. */
export interface KeepAliveHint {
  /** How long the server keeps an idle connection, in ms. */
  readonly timeoutMs: number | undefined
  /** How many more requests it takes on this one. */
  readonly remainingRequests: number | undefined
}

/** Reads the field's value; never throws, since nothing hangs on a hint. */
export function parseKeepAlive(value: string): KeepAliveHint {
  const seconds = parseParameter(value, 'timeout')
  return {
    timeoutMs: seconds === undefined ? undefined : seconds * 1000,
    remainingRequests: parseParameter(value, 'max'),
  }
}

function parseParameter(value: string, name: 'timeout' | 'max'): number | undefined {
  for (const parameter of value.split(',')) {
    const match = /^\s*([a-z]+)\s*=\s*"?(\d{1,9})"?\s*$/i.exec(parameter)
    if (match?.[1]?.toLowerCase() === name) return Number(match[2])
  }
  return undefined
}
