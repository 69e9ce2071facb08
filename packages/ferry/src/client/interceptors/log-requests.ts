/**
 * Tells a logger of requests. What could be a secret stays out: queries, and the values of fields
 * that were not asked for by name or that hold credentials.
 */
import { isFerryError } from '../../errors.ts'
import type { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import type { HttpRequest } from '../../transport/http-request.ts'
import type { HttpResponse } from '../../transport/http-response.ts'
import type { Interceptor } from '../interceptor.ts'

/** What pino, bunyan, winston and the console have in common. */
export interface RequestLogger {
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
}

/** Settings of the log. */
export interface LogOptions {
  /** call: a line for each call; attempt: for each try of it. @defaultValue 'attempt' */
  readonly scope?: Interceptor['scope']
  /** Names of fields, of requests and responses, whose values are written down. @defaultValue none */
  readonly fields?: readonly string[] | undefined
}

// Their values are never written, whoever asks.
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'authentication-info',
  'proxy-authentication-info',
])

/**
 * Writes a line when the head of a response has come, or none will: `info` below 500, `warn` for the
 * rest. Facts are `method`, `url` (without its query), `attempt`, `durationMs`, and `status` or
 * `error`. What the logger throws fails the call.
 */
export function logRequests(logger: RequestLogger, options: LogOptions = {}): Interceptor {
  const { scope = 'attempt', fields = [] } = options
  return {
    scope,
    async preRequest(request, context) {
      const startedAt = performance.now()
      const describe = (): object => ({
        method: request.method,
        url: request.url.label,
        attempt: context.attempt,
        durationMs: Math.round((performance.now() - startedAt) * 10) / 10,
        ...selectFields('requestFields', request.headers, fields),
      })
      let response: HttpResponse
      try {
        response = await context.send(request)
      } catch (error) {
        logger.warn({ ...describe(), error: describeError(error) }, `${title(request)} failed`)
        throw error
      }
      const { status, url } = response
      const facts = {
        ...describe(),
        status,
        ...(url.href === request.url.href ? {} : { finalUrl: url.label }),
        ...selectFields('responseFields', response.headers, fields),
      }
      try {
        logger[status < 500 ? 'info' : 'warn'](facts, `${title(request)} ${status}`)
      } catch (error) {
        response.body.cancel()
        throw error
      }
      return response
    },
  }
}

function title({ method, url }: HttpRequest): string {
  return `${method} ${url.label}`
}

/** Messages of our own hold no secrets; what others threw is only named. */
function describeError(error: unknown): object {
  if (isFerryError(error)) return { name: error.name, code: error.code, message: error.message }
  return { name: error instanceof Error ? error.name : typeof error }
}

function selectFields(
  key: string,
  headers: HeaderFields,
  names: readonly string[],
): Record<string, unknown> {
  const found = names
    .map((name) => name.toLowerCase())
    .filter((name) => headers.has(name))
    .map((name) => [name, SECRET_FIELDS.has(name) ? '…' : headers.get(name)] as const)
  return found.length === 0 ? {} : { [key]: Object.fromEntries(found) }
}
