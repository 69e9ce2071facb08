/** The outbox of commands that send, and what they keep beside each item. */
import { HttpUrl } from 'ferry/transport'
import { defaultOutboxPath, openSqliteOutbox, type Outbox, type OutboxItem } from 'ferry/upload'
import type { SendOptions } from './send-options.ts'

/** Of `~/.indexcp/ferry.db`. */
const OUTBOX_NAME = 'ferry'

/** Which outbox the options name. */
export function outboxPathOf({ outbox }: Pick<SendOptions, 'outbox'>): string {
  return outbox ?? defaultOutboxPath(OUTBOX_NAME)
}

/**
 * Opens it; whoever does closes it.
 * @throws as `openSqliteOutbox()`
 */
export function openOutbox(options: Pick<SendOptions, 'outbox'>): Promise<Outbox> {
  return openSqliteOutbox({ path: outboxPathOf(options) })
}

/** Metadata of an item that is to go to a URL, which is kept without its credentials. */
export function metadataFor(url: HttpUrl): { readonly url: string } {
  return { url: url.href }
}

/** Where an item is to go; undefined when nobody has said, at least not for us. */
export function targetOf({ metadata }: OutboxItem): string | undefined {
  const { url } = metadata
  if (url === undefined) return undefined
  try {
    return HttpUrl.parse(url).href
  } catch {
    // Other programs may keep something else under that name.
    return undefined
  }
}
