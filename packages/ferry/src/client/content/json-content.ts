/** Values as content in JSON (RFC 8259). */
import { LocalProtocolError } from '../../errors.ts'
import { findJsonObstacle } from './json-obstacle.ts'
import type { TypedContent } from './typed-content.ts'

/**
 * Makes content of a value, as `JSON.stringify()` writes it: `toJSON()` is asked, undefined members
 * are left out, NaN becomes null. Later changes of the value change nothing.
 * @throws {LocalProtocolError} when there is no JSON for it: for undefined, a function or a symbol as
 * a whole, a BigInt, a cycle, or a `toJSON()` that throws; the message says where, as `$.items[2].id`
 */
export function jsonContent(value: unknown): TypedContent {
  let text: string | undefined
  try {
    text = JSON.stringify(value) as string | undefined
  } catch (cause) {
    const reason = findJsonObstacle(value) ?? (cause as Error).message
    throw new LocalProtocolError(`Cannot send the value as JSON: ${reason}`, { cause })
  }
  if (text === undefined) {
    throw new LocalProtocolError(`Cannot send ${typeof value} as JSON: it has no form there`)
  }
  // RFC 8259 §8.1 and §11: UTF-8 always, and the type has no charset.
  return { content: Buffer.from(text), contentType: 'application/json' }
}
