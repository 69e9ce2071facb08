/** The HTTP client. */
export type { Permit } from './rate-limit/permit.ts'
export type { RateLimitOptions } from './rate-limit/rate-limit-options.ts'
export {
  type AcquireOptions,
  RateLimiter,
  type RateLimiterSource,
} from './rate-limit/rate-limiter.ts'
export { filePart, type FormPart, MultipartForm } from './content/multipart-form.ts'
export type { RequestBodyInit } from './content/body-content.ts'
export type { ParamsInit, ParamValue } from './content/params.ts'
export type {
  CallOptions,
  CommonOptions,
  FormatResults,
  HttpClientOptions,
  ResponseFormat,
} from './call-options.ts'
export type { ClientResponse } from './client-response.ts'
export type { ExchangeEvent, ExchangeListener } from './exchange-event.ts'
export type { HttpCall } from './http-call.ts'
export { type CallResult, HttpClient, type RequestClient } from './http-client.ts'
export type { Interceptor, InterceptorContext } from './interceptor.ts'
export type { RetryContext, RetryOptions, ShouldRetry } from './retry/retry-policy.ts'
export type { RetryEvent } from './retry-event.ts'
export { type Environment, type ProxyChooser, proxyFromEnvironment } from './proxy-environment.ts'
export {
  loadNetworkProfile,
  type LoadNetworkProfileOptions,
  type NetworkProfile,
} from './network-profile.ts'
export { isSecretField } from './secret-fields.ts'
export { buildTlsContext, type TlsContextOptions } from './tls-settings.ts'
export { OriginRateLimiters } from './rate-limit/origin-rate-limiters.ts'
export { type CacheOptions, cacheResponses } from './cache/cache-responses.ts'
export type { CacheEntry, CacheStore } from './cache/cache-store.ts'
export { type CacheUse, cacheUseOf } from './cache/cache-use.ts'
export { type CacheStoreOptions, createMemoryCacheStore } from './cache/memory-cache-store.ts'
export { openSqliteCacheStore } from './cache/sqlite-cache-store.ts'
export { readCookieFile, writeCookieFile } from './cookies/cookie-file.ts'
export type { CookieJar } from './cookies/cookie-jar.ts'
export type { CookieRecord } from './cookies/cookie-record.ts'
export {
  type CookieJarOptions,
  createCookieJar,
  type MemoryCookieJar,
} from './cookies/create-cookie-jar.ts'
export { basicAuth, type PasswordCredentials } from './interceptors/basic-auth.ts'
export { bearerAuth } from './interceptors/bearer-auth.ts'
export {
  type CounterOptions,
  countRequests,
  type RequestCounter,
  type RequestCounts,
  type StatusClass,
} from './interceptors/count-requests.ts'
export type { CredentialScope } from './interceptors/credential-scope.ts'
export { digestAuth } from './interceptors/digest-auth.ts'
export { type LogOptions, logRequests, type RequestLogger } from './interceptors/log-requests.ts'
export { refreshingAuth, type RefreshingAuthOptions } from './interceptors/refreshing-auth.ts'
export {
  createFetch,
  type Fetch,
  type FetchClient,
  type FetchOptions,
} from './fetch/create-fetch.ts'
export {
  del,
  del as delete,
  get,
  head,
  type OneCallOptions,
  options,
  patch,
  post,
  put,
} from './one-call.ts'
export { type Page, paginate, type PaginateOptions } from './paginate.ts'
