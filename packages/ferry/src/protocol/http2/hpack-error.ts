/** The error of HPACK, alone so that the parts of the decoder can share it. */

/**
 * A header block that cannot be decoded. The tables of both sides may differ from then on, so no
 * later block can be read either: whoever owns the connection ends it with COMPRESSION_ERROR
 * (RFC 9113 §4.3).
 */
export class HpackError extends Error {
  override readonly name = 'HpackError'
}
