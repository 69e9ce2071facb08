/** The transport engine: requests, responses, connections and their pool. */
export { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
export type { ResponseHead } from '../protocol/http1/response-parser.ts'
export type {
  ConnectOptions,
  NetworkBackend,
  NetworkStream,
  StreamInfo,
  StreamReader,
  TlsOptions,
} from '../net/network-backend.ts'
export { NodeBackend } from '../net/node-backend.ts'
export type { Exchange, ResponseHandler } from './connection.ts'
export {
  ConnectionPool,
  type ConnectionPoolOptions,
  type ExchangeOptions,
} from './connection-pool.ts'
export {
  HttpRequest,
  type HttpRequestInit,
  type RequestContent,
  type StreamedContent,
} from './http-request.ts'
export type { HttpResponse } from './http-response.ts'
export { HttpUrl, type Origin } from './http-url.ts'
export type { BodySink, ResponseBody } from './response-body.ts'
