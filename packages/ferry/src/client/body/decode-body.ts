/**
 * The content of a response without its content codings (RFC 9110 §8.4).
 *
 *     gathering → ended                 short content that is here: decoded at once, in this turn
 *        └──────→ streaming → ended     anything else: decoded as it comes
 *
 * Owns the flow from the body of the transport to the one that the caller takes: nothing is taken from
 * the first before somebody takes the second; while the second is full the first is paused; giving
 * up the second gives up the first; an error of either is one of the second.
 */
import type { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import type { Flow } from '../../transport/connection.ts'
import { ResponseBody } from '../../transport/response-body.ts'
import { type CodingPlan, planDecoding } from './content-codings.ts'
import { decodeWhole, explainDecodeError } from './content-decoder.ts'
import { type DecodeLimits, DecodeMeter } from './decode-meter.ts'
import { type DecodedSink, DecodeStage } from './decode-stage.ts'

/** Settings of decoding. */
export interface DecodeOptions extends DecodeLimits {
  /** Whose content it is, for messages: `GET http://h/x`. @defaultValue `the response` */
  readonly what?: string | undefined
}

// What is decoded at once: a trip to the thread pool and back costs some 50 µs.
const MAX_GATHERED_BYTES = 65_536
// What may come out of it: about a millisecond.
const MAX_WHOLE_BYTES = 1_048_576

/**
 * Gives a body with the decoded content of another, which it takes over; the same body when the
 * fields name no coding. Its length is unknown, its trailers are those of the other. A body without a
 * byte (to HEAD, with 204 or 304) is empty whatever the fields say.
 *
 * Taking it fails with {RemoteProtocolError} when a coding is unknown, when there are more than five,
 * when the content is corrupt, cut short or goes on behind its end, and when it becomes longer than
 * the limits allow.
 */
export function decodeBody(
  body: ResponseBody,
  headers: HeaderFields,
  options: DecodeOptions = {},
): ResponseBody {
  const plan = planDecoding(headers)
  return plan === undefined ? body : new DecodingFlow(body, plan, options).body
}

class DecodingFlow implements Flow, DecodedSink {
  readonly body: ResponseBody
  readonly #source: ResponseBody
  readonly #plan: CodingPlan
  readonly #meter: DecodeMeter
  #gathered: Buffer[] = []
  #gatheredBytes = 0
  #turnEnd: NodeJS.Immediate | undefined
  /** Outermost coding first; empty before streaming. */
  #stages: readonly DecodeStage[] = []
  #ended = false
  #resumeSource = (): void => {}

  constructor(source: ResponseBody, plan: CodingPlan, options: DecodeOptions) {
    this.#source = source
    this.#plan = plan
    this.#meter = new DecodeMeter(options.what ?? 'the response', options)
    this.body = new ResponseBody(this, undefined, () => this.#start())
  }

  // ── From the body that the caller takes

  resume(): void {
    this.#stages.at(-1)?.resume()
  }

  abort(reason: Error): void {
    this.fail(reason)
  }

  // ── From the last stage

  write(bytes: Buffer): boolean {
    // A decoder that is closed may still give what it holds.
    return this.#ended || this.body.receive(bytes)
  }

  end(): void {
    if (this.#close()) this.body.complete(this.#source.trailers)
  }

  fail(error: Error): void {
    if (!this.#close()) return
    this.#source.cancel(error)
    this.body.fail(error)
  }

  // ── From the body of the transport

  #start(): void {
    // Given up before it was taken: the body says so.
    if (this.#ended) return
    this.#source
      .pipe({
        start: (flow) => (this.#resumeSource = () => flow.resume()),
        write: (bytes) => this.#take(bytes),
      })
      .then(() => this.#finish())
      .catch((error: Error) => this.fail(error))
  }

  /** What it throws ends the source, and comes back from its `pipe()`. */
  #take(bytes: Buffer): boolean {
    if (this.#plan.type === 'refuse') throw this.#meter.error(this.#plan.reason)
    this.#meter.addWire(bytes.length)
    const kept = Buffer.from(bytes)
    const [first] = this.#stages
    if (first !== undefined) return first.write(kept)
    this.#gathered.push(kept)
    this.#gatheredBytes += kept.length
    if (this.#gatheredBytes > MAX_GATHERED_BYTES) return this.#stream()
    // What has come with the head is here by the end of this turn; what comes later is not waited for.
    this.#turnEnd ??= setImmediate(() => this.#stream())
    return true
  }

  #finish(): void {
    if (this.#ended) return
    if (this.#stages.length === 0 && this.#decodeGathered()) {
      this.end()
      return
    }
    if (this.#stages.length === 0) this.#stream()
    this.#stages[0]?.end()
  }

  /** Decodes what is gathered, which is all; false when too much would come out. */
  #decodeGathered(): boolean {
    if (this.#gatheredBytes === 0 || this.#plan.type === 'refuse') return true
    let bytes: Buffer = Buffer.concat(this.#gathered, this.#gatheredBytes)
    const maxBytes = Math.min(MAX_WHOLE_BYTES, this.#meter.allowedBytes)
    for (const coding of this.#plan.codings.toReversed()) {
      if (bytes.length === 0) break
      let decoded: Buffer | undefined
      try {
        decoded = decodeWhole(coding, bytes, maxBytes)
      } catch (cause) {
        throw this.#meter.error(explainDecodeError(coding, cause as Error), { cause })
      }
      if (decoded === undefined) return false
      bytes = decoded
    }
    if (bytes.length > 0) this.body.receive(bytes)
    return true
  }

  /** Begins to decode as it comes, with what is gathered. @returns whether more is welcome */
  #stream(): boolean {
    clearImmediate(this.#turnEnd)
    if (this.#ended || this.#plan.type === 'refuse') return true
    const stages: DecodeStage[] = []
    for (const coding of this.#plan.codings) {
      const output = stages[0] ?? this
      const onRoom = (): void => this.#resumeBefore(stage)
      const stage = new DecodeStage({ coding, output, meter: this.#meter, onRoom })
      stages.unshift(stage)
    }
    this.#stages = stages
    const gathered = this.#gathered
    this.#gathered = []
    let flowing = true
    for (const bytes of gathered) flowing = stages[0]?.write(bytes) ?? true
    return flowing
  }

  /** A stage has room again: what gives to it goes on. */
  #resumeBefore(stage: DecodeStage): void {
    const before = this.#stages[this.#stages.indexOf(stage) - 1]
    if (before === undefined) this.#resumeSource()
    else before.resume()
  }

  #close(): boolean {
    if (this.#ended) return false
    this.#ended = true
    clearImmediate(this.#turnEnd)
    this.#gathered = []
    for (const stage of this.#stages) stage.close()
    return true
  }
}
