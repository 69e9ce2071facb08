/** Finds out what in a value `JSON.stringify()` stumbled over: it says what, but not where. */

// Deeper values have a path that nobody could read.
const MAX_DEPTH = 1000
const PLAIN_NAME = /^[A-Za-z_$][\w$]*$/

interface Place {
  /** From `$`, the value as a whole. */
  readonly path: string
  /** The objects around it, outermost first, each with its path. */
  readonly around: readonly (readonly [object: object, path: string])[]
}

/**
 * Says what in a value has no JSON, and where: `$.user.id is a BigInt`. Undefined when nothing is
 * found. Members are visited in the order of `JSON.stringify()`.
 */
export function findJsonObstacle(value: unknown): string | undefined {
  return visit(value, '', { path: '$', around: [] })
}

function visit(given: unknown, key: string, place: Place): string | undefined {
  const { path, around } = place
  let value: unknown
  try {
    value = replaceByToJson(given, key)
  } catch (error) {
    return `${path}.toJSON() has thrown: ${error instanceof Error ? error.message : String(error)}`
  }
  if (typeof value === 'bigint' || value instanceof BigInt) return `${path} is a BigInt`
  if (typeof value !== 'object' || value === null) return undefined
  const [, seenAt] = around.find(([object]) => object === value) ?? []
  if (seenAt !== undefined) return `${path} leads back to ${seenAt}`
  if (around.length === MAX_DEPTH) return undefined
  return visitMembers(value, { path, around: [...around, [value, path]] })
}

function visitMembers(value: object, { path, around }: Place): string | undefined {
  const isList = Array.isArray(value)
  for (const name of Object.keys(value)) {
    const step = isList ? `[${name}]` : formatStep(name)
    let member: unknown
    try {
      member = (value as Record<string, unknown>)[name]
    } catch (error) {
      return `${path}${step} has thrown: ${error instanceof Error ? error.message : String(error)}`
    }
    const found = visit(member, name, { path: path + step, around })
    if (found !== undefined) return found
  }
  return undefined
}

function replaceByToJson(value: unknown, key: string): unknown {
  if ((typeof value !== 'object' && typeof value !== 'bigint') || value === null) return value
  const { toJSON } = value as { toJSON?: unknown }
  return typeof toJSON === 'function' ? (toJSON.call(value, key) as unknown) : value
}

function formatStep(name: string): string {
  return PLAIN_NAME.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`
}
