/**
 * What a client has to make of each scenario of test/support/hostile-http2, as RFC 9113 says in the
 * section named. Where the RFC leaves it open the row tells what Ferry has chosen.
 */

/** A scenario and what is to come of it. */
export interface HostileRow {
  /** Its path. */
  readonly scenario: string
  /** Of RFC 9113, unless another is named. */
  readonly section: string
  /** As `200 "content"`; `200, then CODE` when the content failed; CODE when there was no head. */
  readonly outcome: string
  /** The errors that the client sends, and on what. */
  readonly sent?: string
  /** Whether the connection serves the next request. */
  readonly survives: boolean
  /** @defaultValue 'GET'; a POST brings 1 MiB. */
  readonly method?: 'GET' | 'HEAD' | 'POST'
}

/** Rows of one kind. */
export interface HostileTable {
  readonly title: string
  readonly rows: readonly HostileRow[]
}

type Cell = readonly [
  scenario: string,
  section: string,
  result: string,
  options?: Partial<HostileRow>,
]

/** Nothing came of it, and the connection is closed. */
function lost(cells: readonly Cell[]): HostileRow[] {
  return cells.map(([scenario, section, code, options]) => {
    const sent = `GOAWAY ${code}`
    return { scenario, section, outcome: 'remote-protocol', sent, survives: false, ...options }
  })
}

/** The request has failed, and the connection goes on. */
function failed(cells: readonly Cell[]): HostileRow[] {
  return cells.map(([scenario, section, code, options]) => {
    const sent = `RST_STREAM ${code}`
    return { scenario, section, outcome: 'remote-protocol', sent, survives: true, ...options }
  })
}

/** Nothing is wrong with it, or it is the server's right. */
function borne(cells: readonly Cell[]): HostileRow[] {
  return cells.map(([scenario, section, outcome, options]) => {
    return { scenario, section, outcome, survives: true, ...options }
  })
}

const IN_BODY = { outcome: '200, then remote-protocol' }
const AFTER_END = { outcome: '200 "ok"' }
const UPLOAD = { method: 'POST' } as const
const OK = '200 "ok"'

/** Every row, by what the server does. */
export const HOSTILE_TABLES: readonly HostileTable[] = [
  {
    title: 'settings',
    rows: [
      ...lost([
        ['settings-push', '6.5.2', 'PROTOCOL_ERROR'],
        ['settings-push-2', '6.5.2', 'PROTOCOL_ERROR'],
        ['settings-window', '6.5.2', 'FLOW_CONTROL_ERROR'],
        ['settings-frame-small', '6.5.2', 'PROTOCOL_ERROR'],
        ['settings-frame-large', '6.5.2', 'PROTOCOL_ERROR'],
        ['settings-length', '6.5', 'FRAME_SIZE_ERROR'],
        ['settings-ack-payload', '6.5', 'FRAME_SIZE_ERROR'],
        ['settings-stream', '6.5', 'PROTOCOL_ERROR'],
        ['settings-connect-2', 'RFC 8441 3', 'PROTOCOL_ERROR'],
        ['settings-connect-back', 'RFC 8441 3', 'PROTOCOL_ERROR'],
      ]),
      ...borne([
        ['settings-push-0', '6.5.2', OK],
        ['settings-unknown', '6.5.2', OK],
        ['table-size', '4.3.1', OK],
        ['no-streams', '5.1.2', OK],
        ['shrinking-window', '6.9.2', '200 "1048576"', UPLOAD],
      ]),
    ],
  },
  {
    title: 'frames',
    rows: [
      ...lost([
        ['data-stream-0', '6.1', 'PROTOCOL_ERROR'],
        ['headers-stream-0', '6.2', 'PROTOCOL_ERROR'],
        ['headers-even', '5.1.1', 'PROTOCOL_ERROR'],
        ['headers-idle', '5.1', 'PROTOCOL_ERROR'],
        ['data-idle', '5.1', 'PROTOCOL_ERROR'],
        ['rst-idle', '6.4', 'PROTOCOL_ERROR'],
        ['rst-stream-0', '6.4', 'PROTOCOL_ERROR'],
        ['rst-length', '6.4', 'FRAME_SIZE_ERROR'],
        ['ping-length', '6.7', 'FRAME_SIZE_ERROR'],
        ['ping-stream', '6.7', 'PROTOCOL_ERROR'],
        // A stream error may be taken for one of the connection (§5.4.1).
        ['priority-length', '6.3', 'FRAME_SIZE_ERROR'],
        ['priority-stream-0', '6.3', 'PROTOCOL_ERROR'],
        ['goaway-length', '4.2', 'FRAME_SIZE_ERROR'],
        ['goaway-stream', '6.8', 'PROTOCOL_ERROR'],
        ['push-promise', '6.6', 'PROTOCOL_ERROR'],
        ['continuation-alone', '6.10', 'PROTOCOL_ERROR'],
        ['continuation-other-stream', '6.10', 'PROTOCOL_ERROR'],
        ['block-interrupted', '4.3', 'PROTOCOL_ERROR'],
        ['block-interrupted-unknown', '5.5', 'PROTOCOL_ERROR'],
        ['padding-data', '6.1', 'PROTOCOL_ERROR', IN_BODY],
        ['padding-headers', '6.2', 'PROTOCOL_ERROR'],
        ['padding-empty', '4.2', 'FRAME_SIZE_ERROR', IN_BODY],
        ['frame-long-headers', '4.2', 'FRAME_SIZE_ERROR'],
        ['frame-long-data', '4.2', 'FRAME_SIZE_ERROR', IN_BODY],
      ]),
      ...borne([
        ['priority', '5.3.2', OK],
        ['unknown-frame', '5.5', OK],
        ['reserved-bit', '4.1', OK],
        ['block-in-pieces', '6.10', OK],
        ['padding-whole', '6.1', OK],
        ['ping', '6.7', '200 "12345678"'],
      ]),
    ],
  },
  {
    title: 'windows',
    rows: [
      ...lost([
        ['window-update-length', '6.9', 'FRAME_SIZE_ERROR'],
        ['window-update-idle', '5.1', 'PROTOCOL_ERROR'],
        ['window-update-0-connection', '6.9', 'PROTOCOL_ERROR'],
        ['window-overflow-connection', '6.9.1', 'FLOW_CONTROL_ERROR'],
        ['window-overflow-settings', '6.9.2', 'FLOW_CONTROL_ERROR', UPLOAD],
      ]),
      ...failed([
        ['window-update-0', '6.9', 'PROTOCOL_ERROR'],
        ['window-overflow', '6.9.1', 'FLOW_CONTROL_ERROR', UPLOAD],
      ]),
    ],
  },
  {
    title: 'streams',
    rows: [
      ...lost([
        ['headers-after-end', '5.1', 'STREAM_CLOSED', AFTER_END],
        ['data-after-end', '5.1', 'STREAM_CLOSED', AFTER_END],
      ]),
      ...failed([
        ['data-first', '8.1.1', 'PROTOCOL_ERROR'],
        ['head-twice', '8.1', 'PROTOCOL_ERROR', IN_BODY],
        ['information-end', '8.1', 'PROTOCOL_ERROR'],
        ['information-late', '8.1', 'PROTOCOL_ERROR', IN_BODY],
        ['information-flood', '10.5', 'ENHANCE_YOUR_CALM'],
      ]),
      ...borne([
        ['rst-after-end', '5.1', OK],
        ['window-update-after-end', '5.1', OK],
        ['trailers', '8.1', '200 "ok" {"x-sum":"abc"}'],
        ['rst-before-head', '5.4.2', 'connection-lost'],
        ['rst-internal', '5.4.2', 'connection-lost'],
        ['rst-calm', '5.4.2', 'connection-lost'],
        ['rst-http-1.1', '7', 'connection-lost'],
        ['rst-in-body', '5.4.2', '200, then connection-lost'],
        ['rst-no-error-in-body', '8.1', '200, then connection-lost'],
        ['rst-in-upload', '5.4.2', 'connection-lost', UPLOAD],
        ['refused-once', '8.7', OK],
        ['refused-always', '8.7', 'connection-lost'],
        ['early-response', '8.1', OK, UPLOAD],
        ['early-response-reading', '8.1', OK, UPLOAD],
        ['early-refusal', '8.1', '413 ""', { ...UPLOAD, sent: 'RST_STREAM CANCEL' }],
      ]),
    ],
  },
  {
    title: 'messages',
    rows: [
      ...failed([
        ['status-missing', '8.3.2', 'PROTOCOL_ERROR'],
        ['status-twice', '8.3', 'PROTOCOL_ERROR'],
        ['status-late', '8.3', 'PROTOCOL_ERROR'],
        ['status-99', '8.3.2', 'PROTOCOL_ERROR'],
        ['status-1000', '8.3.2', 'PROTOCOL_ERROR'],
        ['status-abc', '8.3.2', 'PROTOCOL_ERROR'],
        ['status-empty', '8.3.2', 'PROTOCOL_ERROR'],
        ['status-101', '8.6', 'PROTOCOL_ERROR'],
        ['pseudo-unknown', '8.3', 'PROTOCOL_ERROR'],
        ['pseudo-of-request', '8.3', 'PROTOCOL_ERROR'],
        ['pseudo-in-trailers', '8.1', 'PROTOCOL_ERROR', IN_BODY],
        ['name-upper', '8.2.1', 'PROTOCOL_ERROR'],
        ['name-empty', '8.2.1', 'PROTOCOL_ERROR'],
        ['name-space', '8.2.1', 'PROTOCOL_ERROR'],
        ['name-colon', '8.2.1', 'PROTOCOL_ERROR'],
        ['name-octet', '8.2.1', 'PROTOCOL_ERROR'],
        ['connection', '8.2.2', 'PROTOCOL_ERROR'],
        ['proxy-connection', '8.2.2', 'PROTOCOL_ERROR'],
        ['keep-alive', '8.2.2', 'PROTOCOL_ERROR'],
        ['transfer-encoding', '8.2.2', 'PROTOCOL_ERROR'],
        ['upgrade', '8.2.2', 'PROTOCOL_ERROR'],
        ['trailers-connection', '8.2.2', 'PROTOCOL_ERROR', IN_BODY],
        ['value-nul', '8.2.1', 'PROTOCOL_ERROR'],
        ['value-cr', '8.2.1', 'PROTOCOL_ERROR'],
        ['value-lf', '8.2.1', 'PROTOCOL_ERROR'],
        ['value-space-before', '8.2.1', 'PROTOCOL_ERROR'],
        ['value-tab-after', '8.2.1', 'PROTOCOL_ERROR'],
        ['length-more', '8.1.1', 'PROTOCOL_ERROR', IN_BODY],
        ['length-less', '8.1.1', 'PROTOCOL_ERROR', IN_BODY],
        ['length-less-trailers', '8.1.1', 'PROTOCOL_ERROR', IN_BODY],
        ['length-none', '8.1.1', 'PROTOCOL_ERROR'],
        ['length-bad', '8.1.1', 'PROTOCOL_ERROR'],
        ['length-two', '8.1.1', 'PROTOCOL_ERROR'],
        ['content-of-204', '8.1.1', 'PROTOCOL_ERROR', { outcome: '204, then remote-protocol' }],
        ['content-of-304', '8.1.1', 'PROTOCOL_ERROR', { outcome: '304, then remote-protocol' }],
        ['content-of-head', '8.1.1', 'PROTOCOL_ERROR', { ...IN_BODY, method: 'HEAD' }],
        ['fields-many', '10.5.1', 'ENHANCE_YOUR_CALM'],
      ]),
      ...lost([['fields-long', '10.5.1', 'ENHANCE_YOUR_CALM']]),
      ...borne([
        ['value-octets', '8.2.1', OK],
        ['fields-some', '10.5.1', OK],
      ]),
    ],
  },
  {
    title: 'header compression',
    rows: [
      ...lost([
        ['hpack-index', 'RFC 7541 2.3.3', 'COMPRESSION_ERROR'],
        ['hpack-index-0', 'RFC 7541 6.1', 'COMPRESSION_ERROR'],
        ['hpack-table-size', 'RFC 7541 6.3', 'COMPRESSION_ERROR'],
        ['hpack-table-size-late', 'RFC 7541 4.2', 'COMPRESSION_ERROR'],
        ['hpack-integer', 'RFC 7541 5.1', 'COMPRESSION_ERROR'],
        ['hpack-string-short', 'RFC 7541 5.2', 'COMPRESSION_ERROR'],
        ['hpack-huffman-padding', 'RFC 7541 5.2', 'COMPRESSION_ERROR'],
        ['hpack-huffman-end', 'RFC 7541 5.2', 'COMPRESSION_ERROR'],
      ]),
      ...failed([['hpack-bomb', '10.5.1', 'ENHANCE_YOUR_CALM']]),
      ...borne([['hpack-table-size-0', 'RFC 7541 4.2', OK]]),
    ],
  },
  {
    title: 'floods',
    rows: lost([
      ['flood-continuation', '10.5', 'ENHANCE_YOUR_CALM'],
      ['flood-continuation-empty', '10.5', 'ENHANCE_YOUR_CALM'],
      ['flood-settings', '10.5', 'ENHANCE_YOUR_CALM'],
      ['flood-settings-empty', '10.5', 'ENHANCE_YOUR_CALM'],
      ['flood-ping', '10.5', 'ENHANCE_YOUR_CALM'],
      ['flood-priority', '10.5', 'ENHANCE_YOUR_CALM'],
      ['flood-unknown', '10.5', 'ENHANCE_YOUR_CALM'],
      ['flood-window-update', '10.5', 'ENHANCE_YOUR_CALM'],
      ['flood-data-empty', '10.5', 'ENHANCE_YOUR_CALM', IN_BODY],
      ['flood-data-padding', '10.5', 'ENHANCE_YOUR_CALM', IN_BODY],
      ['flood-rst', '10.5', 'ENHANCE_YOUR_CALM', AFTER_END],
      ['flood-trailers', '5.1', 'STREAM_CLOSED', AFTER_END],
    ]),
  },
  {
    title: 'ends of connections',
    rows: [
      ...borne([
        ['goaway-graceful', '6.8', OK, { survives: false }],
        ['goaway-serving', '6.8', OK, { survives: false }],
        ['goaway-unprocessed', '6.8', OK, { survives: false }],
        ['goaway-unprocessed-close', '6.8', OK, { survives: false }],
        ['goaway-close', '6.8', 'connection-lost', { survives: false }],
        ['goaway-error', '6.8', 'connection-lost', { survives: false }],
        ['close', '5.4.1', 'connection-lost', { survives: false }],
        ['close-in-body', '5.4.1', '200, then connection-lost', { survives: false }],
        ['close-in-frame', '5.4.1', '200, then connection-lost', { survives: false }],
      ]),
    ],
  },
]
