/** URLs of uploads as servers give them. Pure. */
import { RemoteProtocolError } from '../errors.ts'
import { HttpUrl } from '../transport/http-url.ts'

/**
 * Reads a Location, which may be relative to the URL that was asked. Servers behind a proxy that ends
 * TLS name themselves with http: on the host of an https endpoint it is https all the same.
 * @throws {RemoteProtocolError} when it is no http URL
 */
export function resolveUploadUrl(location: string, base: HttpUrl, endpoint: HttpUrl): HttpUrl {
  const url = parse(location, base)
  const { origin } = endpoint
  const isDowngraded = origin.scheme === 'https' && url.origin.scheme === 'http'
  if (!isDowngraded || url.origin.host !== origin.host) return url
  return HttpUrl.parse(url.target, endpoint)
}

function parse(location: string, base: HttpUrl): HttpUrl {
  try {
    return HttpUrl.parse(location, base)
  } catch (cause) {
    throw new RemoteProtocolError(
      `Cannot use the upload that ${base.label} has created: its Location is no http URL`,
      { cause },
    )
  }
}
