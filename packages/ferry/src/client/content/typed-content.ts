/** Content together with what it is: what a format of request content makes. */
import type { Content } from '../../transport/content.ts'

/** Content, and the value of Content-Type that goes with it. */
export interface TypedContent {
  readonly content: Content
  readonly contentType: string
}
