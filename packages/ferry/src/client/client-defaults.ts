/**
 * What a client adds to every request: its base URL, parameters and fields, of which Accept and
 * Accept-Encoding follow from what a call wants of the content. Made once for each such wish.
 */
import { ConfigError } from '../errors.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { ACCEPT_ENCODING } from './body/content-codings.ts'
import type { RequestDefaults } from './build-request.ts'
import type { HttpClientOptions } from './call-options.ts'
import type { CallSettings } from './call-settings.ts'

/** The defaults for JSON and for any content, each with the content decoded or left as it comes. */
export interface ClientDefaults {
  readonly decoded: DefaultsByFormat
  readonly coded: DefaultsByFormat
}

interface DefaultsByFormat {
  readonly json: RequestDefaults
  readonly any: RequestDefaults
}

/** @throws {ConfigError} when the base URL is no http URL, or has a query or a fragment */
export function createDefaults(options: HttpClientOptions): ClientDefaults {
  const own = withDefault(HeaderFields.from(options.headers), 'User-Agent', 'ferry')
  const baseUrl = options.baseUrl === undefined ? undefined : checkBaseUrl(options.baseUrl)
  const params = options.params === false ? undefined : options.params
  const defaults = (fields: HeaderFields, accept: string): RequestDefaults => ({
    baseUrl,
    params,
    headers: withDefault(fields, 'Accept', accept),
  })
  const byFormat = (fields: HeaderFields): DefaultsByFormat => ({
    json: defaults(fields, 'application/json, */*;q=0.5'),
    any: defaults(fields, '*/*'),
  })
  return {
    decoded: byFormat(withDefault(own, 'Accept-Encoding', ACCEPT_ENCODING)),
    coded: byFormat(own),
  }
}

/** Those for a call. */
export function defaultsFor(
  { responseFormat, decompress }: Pick<CallSettings, 'responseFormat' | 'decompress'>,
  { decoded, coded }: ClientDefaults,
): RequestDefaults {
  const { json, any } = decompress ? decoded : coded
  return responseFormat === 'json' ? json : any
}

function withDefault(fields: HeaderFields, name: string, value: string): HeaderFields {
  return fields.has(name) ? fields : fields.append(name, value)
}

/** @throws {ConfigError} when it is no http URL, or has a query or a fragment */
export function checkBaseUrl(baseUrl: string): string {
  let isFine = false
  try {
    HttpUrl.parse(baseUrl)
    isFine = !/[?#]/.test(baseUrl)
  } catch {
    // The message below says what is expected.
  }
  if (isFine) return baseUrl
  throw new ConfigError(
    'baseUrl',
    'Cannot use baseUrl: expected an http or https URL without a query',
  )
}
