/**
 * As much of XMLHttpRequest and of a page or worker as sending uses. The types of the whole would bring
 * those of a page into code for Node, too.
 *
 * @see https://xhr.spec.whatwg.org/
 */

/** What uploads tell of. */
export interface XhrProgress {
  readonly loaded: number
}

/** One request. */
export interface Xhr {
  readonly upload: {
    onprogress: ((progress: XhrProgress) => void) | null
    onload: (() => void) | null
  }
  responseType: 'text'
  withCredentials: boolean
  readonly status: number
  readonly statusText: string
  readonly responseText: string
  readonly responseURL: string
  readonly readyState: number
  onprogress: ((progress: XhrProgress) => void) | null
  onreadystatechange: (() => void) | null
  onload: (() => void) | null
  onerror: (() => void) | null
  onabort: (() => void) | null
  open(method: string, url: string): void
  setRequestHeader(name: string, value: string): void
  getAllResponseHeaders(): string
  send(body: Uint8Array | null): void
  abort(): void
}

/** What a page or a worker has; service workers have no XMLHttpRequest. */
export interface SendingScope {
  readonly XMLHttpRequest?: new () => Xhr
  readonly navigator?: { readonly onLine?: boolean }
  addEventListener?(type: 'online', listener: () => void): void
  removeEventListener?(type: 'online', listener: () => void): void
}
