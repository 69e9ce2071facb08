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
export { buildTlsContext, type TlsContextOptions } from './tls-settings.ts'
export { OriginRateLimiters } from './rate-limit/origin-rate-limiters.ts'
