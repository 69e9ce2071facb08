/** The events of the benchmark: what the server sends and the clients expect, by number. */

/** The data of an event. */
export function dataOf(index: number): string {
  return `{"symbol":"FRRY","sequence":${index},"price":${(index % 1000) / 8}}`
}

/** As it stands in the response. */
export function formatEvent(index: number): string {
  return `id: ${index}\ndata: ${dataOf(index)}\n\n`
}
