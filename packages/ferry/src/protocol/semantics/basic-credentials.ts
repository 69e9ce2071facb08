/** The credentials of the Basic scheme (RFC 7617 §2): user and password as UTF-8, in base64. */

/** Gives the value of Authorization or Proxy-Authorization. It is a secret: keep it out of messages. */
export function formatBasicCredentials(credentials: {
  readonly username: string
  readonly password: string
}): string {
  const { username, password } = credentials
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
