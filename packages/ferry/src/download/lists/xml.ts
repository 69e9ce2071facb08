/**
 * XML as a small tree: the elements of one namespace, their attributes and text.
 *
 * Built for documents from the network: entities of the document's own are not known, nothing outside
 * it is read, and size and depth are bounded. Elements of other namespaces are left out with all that
 * is in them. Knows nothing of what the elements mean.
 */
import { SaxesParser, type SaxesTagNS } from 'saxes'

/** An element with the children of its own namespace. */
export interface XmlElement {
  /** Without prefix. */
  readonly name: string
  /** Those without a namespace, as is usual. */
  readonly attributes: ReadonlyMap<string, string>
  /** The text that stands directly in it, white space around it cut off. */
  readonly text: string
  readonly children: readonly XmlElement[]
}

/** What the reader adds to until the element ends. */
interface OpenElement {
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: XmlElement[]
  text: string
}

// Sixteen times what the hashes of a 10 GiB image in pieces of 256 KiB take.
const MAX_BYTES = 16_777_216
// Metalink needs five; the parser's work for each element grows with the depth.
const MAX_DEPTH = 32
// The parser quotes names, however long they are.
const MAX_REASON_LENGTH = 200

/**
 * Reads a document, text as already decoded, and gives its root. The namespace is that of the root.
 * @param refuse makes the error to throw for what is not well-formed or too large
 */
export function parseXml(
  document: string | Uint8Array,
  refuse: (why: string) => Error,
): XmlElement {
  if (document.length > MAX_BYTES) {
    throw refuse(`expected at most ${MAX_BYTES} bytes, got ${document.length}`)
  }
  const builder = new TreeBuilder()
  const parser = new SaxesParser({ xmlns: true })
  try {
    const text = typeof document === 'string' ? document : decodeXml(document)
    parser.on('error', (error) => {
      throw error
    })
    parser.on('opentag', (tag) => builder.open(tag))
    parser.on('text', (part) => builder.addText(part))
    parser.on('cdata', (part) => builder.addText(part))
    parser.on('closetag', () => builder.close())
    parser.write(text).close()
  } catch (error) {
    throw refuse((error as Error).message.slice(0, MAX_REASON_LENGTH).replace(/\.$/, ''))
  }
  // The parser is content only with exactly one.
  return builder.root as XmlElement
}

class TreeBuilder {
  root: XmlElement | undefined
  readonly #open: OpenElement[] = []
  #namespace: string | undefined
  /** How deep we are in an element that is left out. */
  #foreignDepth = 0

  open(tag: SaxesTagNS): void {
    if (this.#open.length + this.#foreignDepth >= MAX_DEPTH) {
      throw new Error(`elements are nested more than ${MAX_DEPTH} deep`)
    }
    this.#namespace ??= tag.uri
    if (this.#foreignDepth > 0 || tag.uri !== this.#namespace) {
      this.#foreignDepth++
      return
    }
    const attributes = new Map<string, string>()
    for (const { uri, local, value } of Object.values(tag.attributes)) {
      if (uri === '') attributes.set(local, value)
    }
    this.#open.push({ name: tag.local, attributes, children: [], text: '' })
  }

  addText(part: string): void {
    const element = this.#open.at(-1)
    if (element !== undefined && this.#foreignDepth === 0) element.text += part
  }

  close(): void {
    if (this.#foreignDepth > 0) {
      this.#foreignDepth--
      return
    }
    const { text, ...rest } = this.#open.pop() as OpenElement
    const element = { ...rest, text: text.trim() }
    const parent = this.#open.at(-1)
    if (parent === undefined) this.root = element
    else parent.children.push(element)
  }
}

// XML 1.0 §4.3.3 and appendix F: a byte order mark, else what the declaration says, else UTF-8.
const BYTE_ORDER_MARKS: readonly (readonly [encoding: string, ...bytes: number[]])[] = [
  ['utf-16le', 0xff, 0xfe],
  ['utf-16be', 0xfe, 0xff],
]
const DECLARED = /^<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z][\w.-]*)["']/
const MAX_DECLARATION_BYTES = 256

function decodeXml(bytes: Uint8Array): string {
  const marked = BYTE_ORDER_MARKS.find(([, ...mark]) =>
    mark.every((byte, at) => bytes[at] === byte),
  )
  const head = String.fromCharCode(...bytes.subarray(0, MAX_DECLARATION_BYTES))
  const encoding = marked?.[0] ?? DECLARED.exec(head)?.[1] ?? 'utf-8'
  return new TextDecoder(encoding, { fatal: true }).decode(bytes)
}
