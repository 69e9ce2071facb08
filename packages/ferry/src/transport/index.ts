/** The transport engine: requests, responses, connections and their pool. */
export { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
export type { ResponseHead } from '../protocol/semantics/response-head.ts'
export type {
  ConnectOptions,
  ConnectStep,
  Endpoint,
  ExtraInfo,
  NetworkBackend,
  NetworkStream,
  StartTlsOptions,
  StreamReader,
  TlsOptions,
  TlsSession,
} from '../net/network-backend.ts'
export type { Clock } from '../clock.ts'
export { toDuplex } from '../net/duplex.ts'
export { NodeBackend } from '../net/node-backend.ts'
export {
  type TcpCallOptions,
  TcpClient,
  type TcpLineOptions,
  type TcpSearchOptions,
} from '../net/tcp-client.ts'
export type { TcpClientOptions } from '../net/tcp-client-options.ts'
export type { ProxyOptions } from '../net/proxy.ts'
export type {
  ConnectionFacts,
  ConnectionMetrics,
  ConnectionState,
  Exchange,
  ExchangeTimings,
  Flow,
  OpeningTimings,
  ResponseHandler,
} from './connection.ts'
export { ConnectionPool, type PoolMetrics } from './connection-pool.ts'
export {
  calculateContentLength,
  type Content,
  type ContentInit,
  isStreamEmpty,
  type StreamedContent,
} from './content.ts'
export type { ServerEvent } from './event-source/event-queue.ts'
export type { EventRequestInit } from './event-source/event-request.ts'
export { eventSource } from './event-source/event-source.ts'
export type {
  EventSourceOptions,
  EventStreamOpening,
  EventStreamRetry,
} from './event-source/event-source-options.ts'
export type {
  EventSubscription,
  EventSubscriptionState,
} from './event-source/event-subscription.ts'
export { fileContent, type FileContentOptions } from './file-content.ts'
export {
  HttpRequest,
  type HttpRequestInit,
  type HttpRequestRecord,
  type RequestContent,
} from './http-request.ts'
export { HttpResponse, type HttpResponseInit } from './http-response.ts'
export { HttpUrl, type Origin } from './http-url.ts'
export type { PoolCounts } from './origin-pool.ts'
export type {
  ConnectionPoolOptions,
  ExchangeOptions,
  Http2Choice,
  ProxyChoice,
  TimeoutOptions,
} from './pool-options.ts'
export { readStreamToBytes, type ReadStreamOptions, streamToList } from './read-stream.ts'
export type { UpgradeOutcome } from './receive-response.ts'
export {
  createRequestStream,
  type RequestStream,
  type RequestStreamOptions,
  type StreamProgress,
} from './request-stream.ts'
export type { RequestTrailers, TrailersInit } from './request-trailers.ts'
export type { BodySink, ResponseBody } from './response-body.ts'
export { createResponseStream, type ResponseStreamOptions } from './response-stream.ts'
export type { CloseOutcome } from './websocket/close-codes.ts'
export { connectWebSocket } from './websocket/connect-websocket.ts'
export type { WebSocketMessage } from './websocket/message-queue.ts'
export type { SendOptions } from './websocket/message-sender.ts'
export type { MessageInit, MessagePiece } from './websocket/piece-reader.ts'
export type {
  WebSocketChannel,
  WebSocketListener,
  WebSocketState,
} from './websocket/websocket-channel.ts'
export type { PerMessageDeflateOptions, WebSocketOptions } from './websocket/websocket-options.ts'
export { TRACE_CHANNEL, type TraceEvent, type TraceListener, type TraceStep } from './trace.ts'
