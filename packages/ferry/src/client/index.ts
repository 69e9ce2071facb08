/** The HTTP client. */
export type {
  CallOptions,
  CommonOptions,
  FormatResults,
  HttpClientOptions,
  ResponseFormat,
} from './call-options.ts'
export type { ClientResponse } from './client-response.ts'
export type { HttpCall } from './http-call.ts'
export { type CallResult, HttpClient } from './http-client.ts'
export type { ChainOptions, Interceptor, InterceptorContext, Send } from './interceptor.ts'
export type { RetryEvent } from './retry-event.ts'
