/** What the servers that speak both versions are told about HTTP/2. */

/** With it, HTTP/2 by prior knowledge on the plain port and by ALPN on that of TLS. */
export interface Http2Options {
  /** SETTINGS_MAX_CONCURRENT_STREAMS. */
  readonly maxConcurrentStreams: number
}
