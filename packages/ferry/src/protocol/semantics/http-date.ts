/** HTTP-date (RFC 9110 §5.6.7): the one form that is sent, and the two that old servers still send. */

const IMF_FIXDATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/
const RFC_850 = /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/
const ASCTIME = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/

/** Epoch ms; undefined when the text is no HTTP-date. (`Date.parse` takes almost anything.) */
export function parseHttpDate(text: string): number | undefined {
  let at = Number.NaN
  if (IMF_FIXDATE.test(text) || RFC_850.test(text)) at = Date.parse(text)
  // asctime has no zone and means GMT.
  else if (ASCTIME.test(text)) at = Date.parse(`${text} GMT`)
  return Number.isNaN(at) ? undefined : at
}
