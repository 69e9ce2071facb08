/** What options are called elsewhere, by their names here. */

const MISNAMED: ReadonlyMap<string, string> = new Map([
  ['base_url', 'baseUrl'],
  ['baseURL', 'baseUrl'],
  ['prefixUrl', 'baseUrl'],
  ['data', 'form or body'],
  ['files', 'body with a MultipartForm'],
  ['query', 'params'],
  ['searchParams', 'params'],
  ['timeout', 'timeoutMs, in milliseconds'],
  ['totalTimeoutMs', 'timeoutMs'],
  ['connectTimeout', 'connectTimeoutMs, in milliseconds'],
  ['headersTimeout', 'headersTimeoutMs, in milliseconds'],
  ['bodyTimeout', 'bodyTimeoutMs, in milliseconds'],
  ['retry', 'retries'],
  ['maxRetries', 'retries'],
  ['retryDelay', 'retryDelayMs, in milliseconds'],
  ['retry_delay', 'retryDelayMs, in milliseconds'],
  ['verify', 'verifySsl'],
  ['verify_ssl', 'verifySsl'],
  ['rejectUnauthorized', 'verifySsl'],
  ['response_format', 'responseFormat'],
  ['responseType', 'responseFormat'],
  ['raise_for_status', 'raiseForStatus'],
  ['throwHttpErrors', 'raiseForStatus'],
  ['max_rate_limit', 'maxRateLimit'],
  ['follow', 'maxRedirects'],
  ['followRedirect', 'maxRedirects'],
  ['redirect', 'maxRedirects'],
  ['jar', 'cookies'],
  ['cookieJar', 'cookies'],
  ['agent', 'pool'],
  ['dispatcher', 'pool'],
])

/** Why an option of this name cannot be used. */
export function describeMisnamed(name: string): string {
  if (name === 'method') return 'request(method, url) takes it as its first argument'
  const right = MISNAMED.get(name)
  return right === undefined ? 'there is no such option' : `its name is ${right}`
}
